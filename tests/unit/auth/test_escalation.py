"""Nobody grants what he does not have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pytest

from minikube.api.meta import ObjectMeta
from minikube.api.rbac_v1 import AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleRef
from minikube.auth.base import MASTERS, Action, Decision, User
from minikube.auth.escalation import EscalationCheck
from minikube.auth.policy_rules import GROUP, everything, rule
from minikube.auth.rbac import rule_allows
from minikube.errors import Forbidden, NotFound

BOB = User("bob", groups=("team", "system:authenticated"))


class Granted:
    """An authorizer that grants one user these rules; `roles` exist."""

    def __init__(self, *rules: PolicyRule, roles: Mapping[str, Sequence[PolicyRule]] | None = None) -> None:
        self.rules = rules
        self.roles = roles or {}

    def authorize(self, user: User, action: Action) -> Decision:
        return Decision(any(rule_allows(rule, action) for rule in self.rules))

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]:
        return list(self.rules)

    def rules_of_role(self, reference: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None:
        found = self.roles.get(reference.name)
        return None if found is None else tuple(found)


def checked(granted: Granted) -> EscalationCheck:
    return EscalationCheck(granted, granted)


def role(*rules: PolicyRule) -> Role:
    return Role(metadata=ObjectMeta(name="r", namespace="n"), rules=rules)


def binding(name: str) -> ClusterRoleBinding:
    reference = RoleRef(api_group=GROUP, kind="ClusterRole", name=name)
    return ClusterRoleBinding(metadata=ObjectMeta(name="b"), role_ref=reference)


PODS = rule("get", "core", "pods")


def test_granting_more_is_refused_with_what_is_missing() -> None:
    why = (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "bob" (groups=["team" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    with pytest.raises(Forbidden, match=f"^{re.escape(why)}$"):
        checked(Granted(PODS)).role(BOB, role(PODS, rule("get", "core", "secrets")), None)


@pytest.mark.parametrize(
    "allowed",
    [
        lambda: checked(Granted(PODS)).role(BOB, role(PODS), None),
        lambda: checked(Granted(rule("escalate", GROUP, "roles"))).role(BOB, role(PODS), None),
        lambda: checked(Granted()).role(User("root", groups=(MASTERS,)), role(PODS), None),
        lambda: checked(Granted(PODS, roles={"reader": [PODS]})).binding(BOB, binding("reader")),
        lambda: checked(Granted(rule("bind", GROUP, "clusterroles", "reader"))).binding(BOB, binding("reader")),
    ],
)
def test_holding_it_or_a_verb_made_for_it_is_enough(allowed: Callable[[], None]) -> None:
    allowed()


def test_binding_a_role_with_more_is_refused_and_one_that_is_not_there_not_found() -> None:
    check = checked(Granted(rule("bind", GROUP, "clusterroles", "reader"), roles={"admin": everything()}))
    with pytest.raises(Forbidden, match=r'clusterrolebindings\.rbac\.authorization\.k8s\.io "b" is forbidden'):
        check.binding(BOB, binding("admin"))
    with pytest.raises(NotFound, match=r'clusterroles\.rbac\.authorization\.k8s\.io "nix" not found'):
        check.binding(BOB, binding("nix"))


def test_only_who_may_do_everything_aggregates() -> None:
    new = ClusterRole(metadata=ObjectMeta(name="c"), aggregation_rule=AggregationRule())
    with pytest.raises(Forbidden, match="must have cluster-admin privileges to use the aggregationRule"):
        checked(Granted(PODS)).role(BOB, new, None)
    checked(Granted(*everything())).role(BOB, new, None)
