"""What an admission policy is here: one binding of it with its selectors compiled, and where its parameters are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from minikube.api.admissionregistration_v1 import (
    MatchResources,
    ParamKind,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from minikube.api.selectors import Selector, compile_selector


class Matcher(msgspec.Struct, frozen=True):
    """MatchResources with its selectors compiled."""

    resources: MatchResources
    namespaces: Selector
    objects: Selector


class Bound(msgspec.Struct, frozen=True):
    """One binding of a policy; `where` is the binding's own restriction."""

    policy: ValidatingAdmissionPolicy
    binding: ValidatingAdmissionPolicyBinding
    constraints: Matcher
    where: Matcher


class UnknownKind(Exception):
    """No such kind is served."""


class Parameters(Protocol):
    def namespaced(self, kind: ParamKind) -> bool:
        """Raises UnknownKind."""
        ...

    def named(self, kind: ParamKind, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as its JSON tree. Raises UnknownKind."""
        ...

    def selected(self, kind: ParamKind, namespace: str, selector: Selector) -> Sequence[dict[str, Any]]:
        """Objects by their labels; namespace "": cluster-scoped ones. Raises UnknownKind."""
        ...


def matcher(resources: MatchResources | None) -> Matcher:
    """None matches everything."""
    resources = resources or MatchResources()
    return Matcher(
        resources,
        compile_selector(resources.namespace_selector) if resources.namespace_selector else Selector(),
        compile_selector(resources.object_selector) if resources.object_selector else Selector(),
    )
