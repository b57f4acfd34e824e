"""Roles and bindings may not grant what their writer does not hold (upstream checks this in rbac's storage)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.api.meta import from_dict
from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from minikube.auth.escalation import EscalationCheck
from minikube.auth.policy_rules import GROUP

ROLES: Mapping[str, type[Role | ClusterRole]] = {"roles": Role, "clusterroles": ClusterRole}
BINDINGS: Mapping[str, type[RoleBinding | ClusterRoleBinding]] = {
    "rolebindings": RoleBinding,
    "clusterrolebindings": ClusterRoleBinding,
}
COLLECTED = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")
"""Metadata that the garbage collector writes: changing nothing else needs no rights."""


class Escalation:
    name: ClassVar[str] = "RBACEscalation"

    def __init__(self, check: EscalationCheck) -> None:
        self._check = check

    async def validate(self, request: Attributes) -> None:
        if request.resource.group != GROUP or request.object is None or request.operation == "DELETE":
            return
        if request.old is not None and _without_collected(request.object) == _without_collected(request.old):
            return
        plural = request.resource.plural
        if plural in ROLES:
            kind = ROLES[plural]
            old = from_dict(kind, request.old) if request.old is not None else None
            self._check.role(request.user, from_dict(kind, request.object), old)
        elif plural in BINDINGS:
            self._check.binding(request.user, from_dict(BINDINGS[plural], request.object))


def _without_collected(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in COLLECTED}
    return {**obj, "metadata": metadata, "rules": obj.get("rules") or [], "subjects": obj.get("subjects") or []}
