"""Acting as somebody else."""

from __future__ import annotations

import pytest

from minikube.api.rbac_v1 import PolicyRule
from minikube.auth.base import Action, Decision, User
from minikube.auth.impersonation import Impersonation, impersonated
from minikube.auth.policy_rules import rule
from minikube.auth.rbac import rule_allows
from minikube.errors import Forbidden, InternalError

ADMIN = User("admin")


class Only:
    def __init__(self, *rules: PolicyRule) -> None:
        self.rules = rules

    def authorize(self, user: User, action: Action) -> Decision:
        return Decision(user == ADMIN and any(rule_allows(rule, action) for rule in self.rules))


ANYBODY = Only(rule("impersonate", "core", "users groups serviceaccounts"))


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        (Impersonation("bob"), ("system:authenticated",)),
        (Impersonation("bob", groups=("a",)), ("a", "system:authenticated")),
        (Impersonation("bob", groups=("system:unauthenticated",)), ("system:unauthenticated",)),
        (Impersonation("system:anonymous"), ("system:unauthenticated",)),
        (
            Impersonation("system:serviceaccount:n:robot"),
            ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"),
        ),
        (Impersonation("system:serviceaccount:n:robot", groups=("a",)), ("a", "system:authenticated")),
    ],
)
def test_groups_of_the_other_identity(asked: Impersonation, groups: tuple[str, ...]) -> None:
    assert impersonated(ADMIN, asked, ANYBODY) == User(asked.user, groups=groups)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Impersonation("bob"), 'users "bob" is forbidden: User "admin" cannot impersonate resource "users"'),
        (Impersonation("eve", groups=("g",)), 'groups "g" is forbidden'),
        (Impersonation("eve", uid="5"), 'uids.authentication.k8s.io "5" is forbidden'),
        (Impersonation("eve", extra={"scopes": ("all",)}), 'cannot impersonate resource "userextras/scopes"'),
        (
            Impersonation("system:serviceaccount:n:robot"),
            'serviceaccounts "robot" is forbidden: User "admin" cannot impersonate resource "serviceaccounts" in '
            'API group "" in the namespace "n"',
        ),
    ],
)
def test_every_part_needs_a_right_of_its_own(asked: Impersonation, why: str) -> None:
    with pytest.raises(Forbidden, match=why):
        impersonated(ADMIN, asked, Only(rule("impersonate", "core", "users", "eve")))


def test_parts_without_a_user_are_refused_and_no_headers_change_nothing() -> None:
    with pytest.raises(InternalError, match="without impersonating a user"):
        impersonated(ADMIN, Impersonation(groups=("system:masters",)), ANYBODY)
    assert impersonated(ADMIN, Impersonation(), Only()) is ADMIN
