"""rbac.authorization.k8s.io: roles and bindings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from minikube.api.names import path_segment_problems
from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.declare import CREATED_AT, columns, created_at, declare, since


class RoleStrategy(Strategy[Role | ClusterRole]):
    """Rules of k8s.io/kubernetes pkg/apis/rbac/validation."""

    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def validate(self, new: Role | ClusterRole, old: Role | ClusterRole | None) -> Iterator[FieldError]:
        for index, rule in enumerate(new.rules):
            path = f"rules[{index}]"
            if not rule.verbs:
                yield FieldError(
                    f"{path}.verbs", "FieldValueRequired", "Required value: verbs must contain at least one value"
                )
            if rule.non_resource_urls:
                if isinstance(new, Role):
                    yield FieldError(
                        f"{path}.nonResourceURLs",
                        "FieldValueInvalid",
                        "Invalid value: namespaced rules cannot apply to non-resource URLs",
                    )
                continue
            for field, given in (("apiGroups", rule.api_groups), ("resources", rule.resources)):
                if not given:
                    kind = "one api group" if field == "apiGroups" else "one resource"
                    yield FieldError(
                        f"{path}.{field}",
                        "FieldValueRequired",
                        f"Required value: resource rules must supply at least {kind}",
                    )


class BindingStrategy(Strategy[RoleBinding | ClusterRoleBinding]):
    """Rules of k8s.io/kubernetes pkg/apis/rbac/validation."""

    def name_problems(self, name: str) -> Iterator[str]:
        return path_segment_problems(name)

    def default(self, new: Obj) -> None:
        reference = new.get("roleRef")
        if isinstance(reference, dict):
            reference.setdefault("apiGroup", GROUP)
        for subject in new.get("subjects") or ():
            if isinstance(subject, dict) and subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", GROUP)

    def validate(
        self, new: RoleBinding | ClusterRoleBinding, old: RoleBinding | ClusterRoleBinding | None
    ) -> Iterator[FieldError]:
        allowed = ("ClusterRole", "Role") if isinstance(new, RoleBinding) else ("ClusterRole",)
        if new.role_ref.kind not in allowed:
            supported = ", ".join(f'"{one}"' for one in allowed)
            yield FieldError(
                "roleRef.kind",
                "FieldValueNotSupported",
                f'Unsupported value: "{new.role_ref.kind}": supported values: {supported}',
            )
        if not new.role_ref.name:
            yield FieldError("roleRef.name", "FieldValueRequired", "Required value")
        for index, subject in enumerate(new.subjects):
            path = f"subjects[{index}]"
            if not subject.name:
                yield FieldError(f"{path}.name", "FieldValueRequired", "Required value")
            if subject.kind not in ("ServiceAccount", "User", "Group"):
                yield FieldError(
                    f"{path}.kind",
                    "FieldValueNotSupported",
                    f'Unsupported value: "{subject.kind}": supported values: "Group", "ServiceAccount", "User"',
                )
            if subject.kind == "ServiceAccount" and not subject.namespace and isinstance(new, ClusterRoleBinding):
                yield FieldError(f"{path}.namespace", "FieldValueRequired", "Required value")
        if old is not None and new.role_ref != old.role_ref:
            shown = msgspec.json.encode(new.role_ref).decode()
            yield FieldError("roleRef", "FieldValueInvalid", f"Invalid value: {shown}: cannot change roleRef")


def binding_row(binding: RoleBinding | ClusterRoleBinding, now: datetime) -> Sequence[Any]:
    def named(kind: str) -> str:
        return ", ".join(one.name for one in binding.subjects if one.kind == kind)

    accounts = (f"{one.namespace}/{one.name}" for one in binding.subjects if one.kind == "ServiceAccount")
    return (
        binding.metadata.name,
        f"{binding.role_ref.kind}/{binding.role_ref.name}",
        since(binding, now),
        named("User"),
        named("Group"),
        ", ".join(accounts),
    )


GROUP = "rbac.authorization.k8s.io"
_BINDING = columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts")

KINDS = (
    declare(ClusterRole, strategy=RoleStrategy(), columns=CREATED_AT, row=created_at),
    declare(ClusterRoleBinding, strategy=BindingStrategy(), columns=_BINDING, row=binding_row),
    declare(Role, strategy=RoleStrategy(), columns=CREATED_AT, row=created_at),
    declare(RoleBinding, strategy=BindingStrategy(), columns=_BINDING, row=binding_row),
)
