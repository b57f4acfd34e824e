"""rbac.authorization.k8s.io: roles and bindings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from minikube.resources.declare import CREATED_AT, columns, created_at, declare, since


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


_BINDING = columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts")

KINDS = (
    declare(ClusterRole, columns=CREATED_AT, row=created_at),
    declare(ClusterRoleBinding, columns=_BINDING, row=binding_row),
    declare(Role, columns=CREATED_AT, row=created_at),
    declare(RoleBinding, columns=_BINDING, row=binding_row),
)
