"""Acting as somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.rbac_v1 import PolicyRule
from minikube.auth.base import Action, Decision, User
from minikube.auth.impersonation import GROUP, Impersonation, constrained_modes, impersonated
from minikube.auth.policy_rules import rule
from minikube.auth.rbac import rule_allows
from minikube.errors import Forbidden, InternalError

ADMIN = User("admin")


class Only:
    def __init__(self, *rules: PolicyRule) -> None:
        self.rules = rules

    def authorize(self, user: User, action: Action) -> Decision:
        return Decision(user == ADMIN and any(rule_allows(rule, action) for rule in self.rules))


LISTING = Action("list", "", "v1", "pods", namespace="n")
ANYBODY = Only(rule("impersonate", "core", "users groups serviceaccounts"))


@pytest.mark.parametrize(
    ("asked", "groups"),
    [
        (Impersonation("bob"), ("system:authenticated",)),
        (Impersonation("bob", groups=("a",)), ("a", "system:authenticated")),
        (Impersonation("bob", groups=("system:unauthenticated",)), ("system:unauthenticated",)),
        (Impersonation("system:anonymous"), ("system:unauthenticated",)),
        (
            Impersonation("system:anonymous", groups=("system:authenticated",)),
            ("system:authenticated", "system:unauthenticated"),
        ),
        (
            Impersonation("system:serviceaccount:n:robot"),
            ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"),
        ),
        (Impersonation("system:serviceaccount:n:robot", groups=("a",)), ("a", "system:authenticated")),
    ],
)
def test_groups_of_the_other_identity(asked: Impersonation, groups: tuple[str, ...]) -> None:
    assert impersonated(ADMIN, asked, ANYBODY, LISTING) == User(asked.user, groups=groups)


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
        impersonated(ADMIN, asked, Only(rule("impersonate", "core", "users", "eve")), LISTING)


def test_parts_without_a_user_are_refused_and_no_headers_change_nothing() -> None:
    with pytest.raises(InternalError, match="without impersonating a user"):
        impersonated(ADMIN, Impersonation(groups=("system:masters",)), ANYBODY, LISTING)
    assert impersonated(ADMIN, Impersonation(), Only(), LISTING) is ADMIN


AGENT = User("system:serviceaccount:n:agent", extra={"authentication.kubernetes.io/node-name": ("a",)})


def constrained(mode: str, *parts: PolicyRule, user: User = ADMIN) -> Any:
    """May act so when it lists pods, and as these."""
    rules = [rule(f"impersonate-on:{mode}:list", "core", "pods"), *parts]

    class Mine:
        def authorize(self, who: User, action: Action) -> Decision:
            return Decision(who == user and any(rule_allows(each, action) for each in rules))

    return Mine()


@pytest.mark.parametrize(
    ("user", "asked", "mode", "resource", "groups"),
    [
        (ADMIN, Impersonation("bob"), "user-info", "users", ()),
        (ADMIN, Impersonation("system:node:a"), "arbitrary-node", "nodes", ("system:nodes",)),
        (AGENT, Impersonation("system:node:a"), "associated-node", "nodes", ("system:nodes",)),
        (
            ADMIN,
            Impersonation("system:serviceaccount:n:r"),
            "serviceaccount",
            "serviceaccounts",
            ("system:serviceaccounts", "system:serviceaccounts:n"),
        ),
    ],
)
def test_constrained_impersonation_holds_for_the_allowed_requests_only(
    user: User, asked: Impersonation, mode: str, resource: str, groups: tuple[str, ...]
) -> None:
    may = constrained(mode, rule(f"impersonate:{mode}", GROUP, resource), user=user)
    found = impersonated(user, asked, may, LISTING)
    assert found == User(asked.user, groups=(*groups, "system:authenticated"))
    with pytest.raises(Forbidden, match="cannot impersonate resource"):
        impersonated(user, asked, may, Action("get", "", "v1", "pods", namespace="n", name="p"))
    with pytest.raises(Forbidden):
        impersonated(user, asked, constrained(mode, user=user), LISTING)


@pytest.mark.parametrize(
    ("user", "asked"),
    [
        (ADMIN, Impersonation("system:node:a", groups=("system:masters",))),
        (ADMIN, Impersonation("bob", groups=("system:masters",))),
        (ADMIN, Impersonation("bob", extra={"plain": ("x",)})),
        (User("system:serviceaccount:n:agent"), Impersonation("system:node:a", uid="7")),
    ],
)
def test_what_constrained_impersonation_never_gives(user: User, asked: Impersonation) -> None:
    assert not list(constrained_modes(user, asked))


def test_only_a_pod_of_the_node_is_associated_with_it() -> None:
    assert list(constrained_modes(AGENT, Impersonation("system:node:b"))) == ["arbitrary-node"]
