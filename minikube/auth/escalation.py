"""Nobody grants what he does not have: checks on roles and bindings, with upstream's two ways around them (the
verbs `escalate` on a role and `bind` on the role that a binding refers to).

Rules: kubernetes pkg/registry/rbac (escalation_check.go) and its {role,rolebinding,…}/policybased.
"""

from __future__ import annotations

from collections.abc import Iterable

from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef
from minikube.auth.base import MASTERS, Action, Authorizer, RuleResolver, User
from minikube.auth.coverage import compact, described, quoted, uncovered
from minikube.auth.policy_rules import GROUP, everything
from minikube.errors import Forbidden, NotFound

PLURALS = {"ClusterRole": "clusterroles", "Role": "roles"}
AGGREGATION = "must have cluster-admin privileges to use the aggregationRule"


class EscalationCheck:
    def __init__(self, authorizer: Authorizer, rules: RuleResolver) -> None:
        self._authorizer = authorizer
        self._rules = rules

    def role(self, user: User, new: Role | ClusterRole, old: Role | ClusterRole | None) -> None:
        """Raises Forbidden."""
        if MASTERS in user.groups:
            return
        meta, plural = new.metadata, PLURALS[new.kind]
        ask = Action("escalate", GROUP, "v1", plural, "", meta.namespace, meta.name)
        if self._authorizer.authorize(user, ask).allowed:
            return
        self._confirm(user, plural, meta.name, meta.namespace, new.rules)
        if any(getattr(one, "aggregation_rule", None) is not None for one in (new, old)) and uncovered(
            self._rules.rules_of(user, meta.namespace), everything()
        ):
            raise Forbidden.of(plural, GROUP, meta.name, AGGREGATION)

    def binding(self, user: User, new: RoleBinding | ClusterRoleBinding) -> None:
        """Raises Forbidden, or NotFound for a role that is not there."""
        if MASTERS in user.groups:
            return
        meta, role = new.metadata, new.role_ref
        ask = Action("bind", role.api_group, "v1", PLURALS.get(role.kind, ""), "", meta.namespace, role.name)
        if self._authorizer.authorize(user, ask).allowed:
            return
        self._confirm(user, f"{new.kind.lower()}s", meta.name, meta.namespace, self._of(role, meta.namespace))

    def _of(self, role: RoleRef, namespace: str) -> tuple[PolicyRule, ...]:
        rules = self._rules.rules_of_role(role, namespace)
        if rules is None:
            raise NotFound.of(PLURALS.get(role.kind, role.kind), GROUP, role.name)
        return rules

    def _confirm(self, user: User, plural: str, name: str, namespace: str, rules: Iterable[PolicyRule]) -> None:
        missing = uncovered(self._rules.rules_of(user, namespace), rules)
        if not missing:
            return
        told = "\n".join(sorted({described(rule) for rule in compact(missing)}))
        why = (
            f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions '
            f"not currently held:\n{told}"
        )
        raise Forbidden.of(plural, GROUP, name, why)
