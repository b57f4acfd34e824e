"""What an admission policy is here: one binding of it with its selectors compiled, and where its parameters are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from minikube.admission.base import Attributes
from minikube.api.admissionregistration_v1 import (
    MatchResources,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    ParamKind,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from minikube.api.selectors import Selector, compile_selector
from minikube.errors import BY_REASON, ApiError, Forbidden, from_status

Policy = TypeVar("Policy", ValidatingAdmissionPolicy, MutatingAdmissionPolicy)
Binding = TypeVar("Binding", ValidatingAdmissionPolicyBinding, MutatingAdmissionPolicyBinding)


class Matcher(msgspec.Struct, frozen=True):
    """MatchResources with its selectors compiled."""

    resources: MatchResources
    namespaces: Selector
    objects: Selector


class Bound(msgspec.Struct, Generic[Policy, Binding], frozen=True):
    """One binding of a policy; `where` is the binding's own restriction."""

    policy: Policy
    binding: Binding
    constraints: Matcher
    where: Matcher


class UnknownKind(Exception):
    """No such kind is served."""


class Parameters(Protocol):
    def namespaced(self, kind: ParamKind) -> bool:
        """Raises UnknownKind."""
        ...

    async def named(self, kind: ParamKind, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as its JSON tree. Raises UnknownKind, ApiError."""
        ...

    async def selected(self, kind: ParamKind, namespace: str, selector: Selector) -> Sequence[dict[str, Any]]:
        """Objects by their labels; namespace "": cluster-scoped ones. Raises UnknownKind, ApiError."""
        ...


def matcher(resources: MatchResources | None) -> Matcher:
    """None matches everything."""
    resources = resources or MatchResources()
    return Matcher(
        resources,
        compile_selector(resources.namespace_selector) if resources.namespace_selector else Selector(),
        compile_selector(resources.object_selector) if resources.object_selector else Selector(),
    )


def refused(request: Attributes, message: str, reason: str) -> ApiError:
    """Forbidden in words, `reason` (a metav1.StatusReason) in fact."""
    metadata = (request.object or {}).get("metadata") or {}
    name = request.name or metadata.get("name") or metadata.get("generateName") or "Unknown"
    status = Forbidden.of(request.resource.plural, request.resource.group, name, message).status()
    details = {**status["details"], "causes": [{"message": message}]}
    return from_status({**status, "reason": reason, "code": BY_REASON[reason].code, "details": details})
