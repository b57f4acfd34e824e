"""Aggregated ClusterRoles hold the rules of every ClusterRole that their selectors match.

Rules: kubernetes pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.meta import Key, to_dict
from minikube.api.rbac_v1 import ClusterRole, PolicyRule
from minikube.api.selectors import compile_selector
from minikube.client.base import PatchType
from minikube.controllers.base import After, Context, Watch, itself


class ClusterRoleAggregationController:
    name: ClassVar[str] = "clusterrole-aggregation-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._roles = context.informers.of(ClusterRole).lister
        self.watches: tuple[Watch, ...] = (itself(ClusterRole), Watch(ClusterRole, self._aggregated))

    async def reconcile(self, key: Key) -> After | None:
        role = self._roles.get(key.name)
        if role is None or role.aggregation_rule is None or role.metadata.deletion_timestamp is not None:
            return None
        rules = aggregated_rules(role, self._roles.list())
        if rules != role.rules:
            patch = {
                "apiVersion": role.api_version,
                "kind": role.kind,
                "metadata": {"name": key.name},
                "rules": [to_dict(rule) for rule in rules],
            }
            await self._client.patch(ClusterRole, key.name, patch=patch, type=PatchType.APPLY, force=True)
        return None

    def _aggregated(self, _: ClusterRole) -> Iterable[Key]:
        """Any change may concern every aggregated role: labels come and go."""
        return [Key("", role.metadata.name) for role in self._roles.list() if role.aggregation_rule is not None]


def aggregated_rules(role: ClusterRole, roles: Iterable[ClusterRole]) -> tuple[PolicyRule, ...]:
    """In the order of selectors, then of the matching roles' names; each rule once."""
    found: dict[PolicyRule, None] = {}
    by_name = sorted(roles, key=lambda one: one.metadata.name)
    for selector in role.aggregation_rule.cluster_role_selectors if role.aggregation_rule else ():
        matches = compile_selector(selector)
        for other in by_name:
            if other.metadata.name != role.metadata.name and matches.matches(other.metadata.labels):
                found.update(dict.fromkeys(other.rules))
    return tuple(found)
