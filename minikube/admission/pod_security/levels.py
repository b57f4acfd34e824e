"""The labels of a namespace as policy: three modes, each at a level of a version.

Rules: k8s.io/pod-security-admission/api/helpers.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from minikube.errors import FieldError

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
PREFIX = "pod-security.kubernetes.io/"
LATEST = 1000
"""The minor version that stands for "latest"."""
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class Standard(msgspec.Struct, frozen=True):
    """A level as of a minor version of Kubernetes."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"

    def stricter_than(self, other: Standard) -> bool:
        return LEVELS.index(self.level) > LEVELS.index(other.level)


class Policy(msgspec.Struct, frozen=True):
    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()
    problems: tuple[FieldError, ...] = ()
    """What is wrong with the labels: enforcement then is as strict as it can be, the rest is off."""


def policy_of(labels: Mapping[str, str]) -> Policy:
    problems: list[FieldError] = []
    enforce = _standard(labels, "enforce", Standard(), problems, failing=RESTRICTED)
    audit = _standard(labels, "audit", Standard(), problems, failing=PRIVILEGED)
    warn = _standard(labels, "warn", Standard(), problems, failing=PRIVILEGED)
    if f"{PREFIX}warn" not in labels and enforce.stricter_than(warn):
        warn = enforce
    return Policy(enforce, audit, warn, tuple(problems))


def _standard(
    labels: Mapping[str, str], mode: str, default: Standard, problems: list[FieldError], *, failing: str
) -> Standard:
    level, minor = default.level, default.minor
    said = labels.get(f"{PREFIX}{mode}")
    if said is not None:
        level = said
        if said not in LEVELS:
            problems.append(_wrong(mode, said, f"must be one of {', '.join(LEVELS)}"))
            level = failing
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    if version != "latest":
        found = _VERSION.fullmatch(version)
        if found is None:
            problems.append(_wrong(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
        else:
            minor = int(found.group(1))
    return Standard(level, minor)


def _wrong(label: str, value: str, why: str) -> FieldError:
    return FieldError(f"metadata.labels[{PREFIX}{label}]", "FieldValueInvalid", f'Invalid value: "{value}": {why}')
