"""Acting as somebody else: every part of the other identity needs the verb `impersonate` of its own.

Rules: kubernetes.io/docs/reference/access-authn-authz/authentication#user-impersonation and
k8s.io/apiserver/pkg/endpoints/filters/impersonation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from minikube.auth.accounts import account_groups, account_of
from minikube.auth.base import ANONYMOUS as NOBODY
from minikube.auth.base import AUTHENTICATED, UNAUTHENTICATED, Action, Authorizer, User
from minikube.auth.refusal import refused
from minikube.errors import InternalError

GROUP = "authentication.k8s.io"


class Impersonation(msgspec.Struct, frozen=True):
    """What the Impersonate-* headers ask; empty: nothing."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.user or self.uid or self.groups or self.extra)


def impersonated(user: User, asked: Impersonation, authorizer: Authorizer) -> User:
    """The user to go on as. Raises Forbidden; InternalError (as upstream) for parts without a user."""
    if not asked:
        return user
    if not asked.user:
        raise InternalError(f"requested {msgspec.to_builtins(asked)} without impersonating a user")
    for action in _needed(asked):
        decision = authorizer.authorize(user, action)
        if not decision.allowed:
            raise refused(user, action, decision.reason)
    groups = asked.groups
    account = account_of(asked.user)
    if account is not None and not groups:
        groups = account_groups(account.namespace)
    return User(asked.user, asked.uid, _with_status(asked.user, groups), dict(asked.extra))


def _needed(asked: Impersonation) -> Iterator[Action]:
    account = account_of(asked.user)
    if account is not None:
        yield Action("impersonate", "", "v1", "serviceaccounts", "", account.namespace, account.name)
    else:
        yield Action("impersonate", "", "v1", "users", name=asked.user)
    for group in asked.groups:
        yield Action("impersonate", "", "v1", "groups", name=group)
    for key, values in asked.extra.items():
        for value in values:
            yield Action("impersonate", GROUP, "v1", "userextras", key, name=value)
    if asked.uid:
        yield Action("impersonate", GROUP, "v1", "uids", name=asked.uid)


def _with_status(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Everybody is either authenticated or not."""
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, UNAUTHENTICATED if name == NOBODY.name else AUTHENTICATED)
