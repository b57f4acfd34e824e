"""Semantic versions (library.SemverLib)."""

from __future__ import annotations

import re
from typing import Any

from minikube.schema.cel_library.values import BOOL, INT, MAP, STRING, Library, Opaque, accepts, text_of

SEMVER = "kubernetes.Semver"
_NUMBER = r"(?:0|[1-9]\d*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z.-]+)?"
)


def _semver(text: str, normalize: bool = False) -> Opaque:
    """`normalize` takes v1.2, and 01.02.03."""
    if normalize:
        numbers, rest = re.match(r"v?([\d.]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        digits = [str(int(each)) if each else "" for each in numbers.split(".")]
        text = ".".join([*digits, "0", "0"][: max(3, len(digits))]) + rest
    if _SEMVER.fullmatch(text) is None:
        raise ValueError(f"semver parse error: {text}")
    return {SEMVER: text}


def _is_semver(text: str, normalize: bool = False) -> bool:
    return accepts(lambda each: _semver(each, normalize))(text)


def _numbers(value: Opaque) -> tuple[int, int, int]:
    major, minor, patch = text_of(value, SEMVER).partition("+")[0].partition("-")[0].split(".")
    return int(major), int(minor), int(patch)


def precedence(value: Opaque) -> tuple[Any, ...]:
    """A release comes after its pre-releases, numbers before words; builds do not count."""
    early = text_of(value, SEMVER).partition("+")[0].partition("-")[2]
    words = [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in early.split(".")]
    return (_numbers(value), not early, words)


FUNCTIONS: Library = {
    "semver": ((MAP, (STRING,), _semver), (MAP, (STRING, BOOL), _semver)),
    "isSemver": ((BOOL, (STRING,), _is_semver), (BOOL, (STRING, BOOL), _is_semver)),
}
MEMBERS: Library = {
    "major": ((INT, (MAP,), lambda version: _numbers(version)[0]),),
    "minor": ((INT, (MAP,), lambda version: _numbers(version)[1]),),
    "patch": ((INT, (MAP,), lambda version: _numbers(version)[2]),),
}
