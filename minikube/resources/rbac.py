"""rbac.authorization.k8s.io: roles and bindings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from minikube.resources.declare import CREATED_AT, columns, created_at, declare, since
from minikube.resources.rules.rbac import ClusterRoleBindingRules, ClusterRoleRules, RoleBindingRules, RoleRules


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
    declare(ClusterRole, create_on_update=True, strategy=ClusterRoleRules(), columns=CREATED_AT, row=created_at),
    declare(
        ClusterRoleBinding,
        create_on_update=True,
        strategy=ClusterRoleBindingRules(),
        columns=_BINDING,
        row=binding_row,
    ),
    declare(Role, create_on_update=True, strategy=RoleRules(), columns=CREATED_AT, row=created_at),
    declare(RoleBinding, create_on_update=True, strategy=RoleBindingRules(), columns=_BINDING, row=binding_row),
)
