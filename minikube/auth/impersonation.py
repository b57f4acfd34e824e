"""Acting as somebody else: every part of the other identity needs the verb `impersonate` of its own, or
(constrained impersonation, KEP-5284) `impersonate:<mode>`, which holds for those requests only that
`impersonate-on:<mode>:<verb>` allows, too.

Rules: kubernetes.io/docs/reference/access-authn-authz/authentication#user-impersonation and
k8s.io/apiserver/pkg/endpoints/filters/impersonation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from minikube.api.names import subdomain_problems
from minikube.auth.accounts import account_groups, account_of
from minikube.auth.base import ANONYMOUS as NOBODY
from minikube.auth.base import AUTHENTICATED, MASTERS, UNAUTHENTICATED, Action, Authorizer, User
from minikube.auth.refusal import refused
from minikube.errors import InternalError
from minikube.pki.node import GROUP as NODES
from minikube.pki.node import PREFIX

GROUP = "authentication.k8s.io"
NODE_NAME = "authentication.kubernetes.io/node-name"
"""The extra that names the node of the pod whose token this is."""
ASSOCIATED = "associated-node"
_EXTRA_KEY = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[a-z0-9._~!$&'()*+,;=:@%/-]+")


class Impersonation(msgspec.Struct, frozen=True):
    """What the Impersonate-* headers ask; empty: nothing."""

    user: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.user or self.uid or self.groups or self.extra)


def impersonated(user: User, asked: Impersonation, authorizer: Authorizer, action: Action) -> User:
    """The user to go on as with `action`. Raises Forbidden; InternalError for parts without a user."""
    if not asked:
        return user
    if not asked.user:
        raise InternalError(f"requested {msgspec.to_builtins(asked)} without impersonating a user")
    if any(_permits(mode, user, asked, authorizer, action) for mode in constrained_modes(user, asked)):
        return _become(asked, (NODES,) if node_name(asked.user) else ())
    for needed in _needed(asked):
        decision = authorizer.authorize(user, needed)
        if not decision.allowed:
            raise refused(user, needed, decision.reason)
    return _become(asked, ())


def _become(asked: Impersonation, own: tuple[str, ...]) -> User:
    """`own`: the groups that somebody of this name has anyway."""
    account = account_of(asked.user)
    groups = asked.groups or (account_groups(account.namespace) if account is not None else own)
    return User(asked.user, asked.uid, _with_status(asked.user, groups), dict(asked.extra))


def _needed(asked: Impersonation) -> Iterator[Action]:
    """To act as somebody without further limits."""
    account = account_of(asked.user)
    if account is not None:
        yield Action("impersonate", "", "v1", "serviceaccounts", "", account.namespace, account.name)
    else:
        yield Action("impersonate", "", "v1", "users", name=asked.user)
    for group in asked.groups:
        yield Action("impersonate", "", "v1", "groups", name=group)
    yield from _needed_further("impersonate", asked)


def _needed_further(verb: str, asked: Impersonation) -> Iterator[Action]:
    for key, values in asked.extra.items():
        for value in values:
            yield Action(verb, GROUP, "v1", "userextras", key, name=value)
    if asked.uid:
        yield Action(verb, GROUP, "v1", "uids", name=asked.uid)


def constrained_modes(user: User, asked: Impersonation) -> Iterator[str]:
    """In which ways this could be allowed for some requests only. Nodes and service accounts are what they are: no
    other part of their identity can be asked for."""
    alone = not (asked.uid or asked.groups or asked.extra)
    node, account = node_name(asked.user), account_of(asked.user)
    if node and alone:
        if account_of(user.name) is not None and user.extra.get(NODE_NAME) == (node,):
            yield ASSOCIATED
        yield "arbitrary-node"
    elif account is not None and alone:
        yield "serviceaccount"
    elif not node and account is None and _well_formed(asked):
        yield "user-info"


def _permits(mode: str, user: User, asked: Impersonation, authorizer: Authorizer, action: Action) -> bool:
    """The verb `impersonate-on:<mode>:<verb>` on what is to be done, and `impersonate:<mode>` on every part."""
    verb = f"impersonate:{mode}"
    node, account = node_name(asked.user), account_of(asked.user)
    if node:
        who = Action(verb, GROUP, "v1", "nodes", name="*" if mode == ASSOCIATED else node)
    elif account is not None:
        who = Action(verb, GROUP, "v1", "serviceaccounts", "", account.namespace, account.name)
    else:
        who = Action(verb, GROUP, "v1", "users", name=asked.user)
    needed = (
        msgspec.structs.replace(action, verb=f"impersonate-on:{mode}:{action.verb}"),
        who,
        *(Action(verb, GROUP, "v1", "groups", name=group) for group in asked.groups),
        *_needed_further(verb, asked),
    )
    return all(authorizer.authorize(user, each).allowed for each in needed)


def _well_formed(asked: Impersonation) -> bool:
    """Whether everything has a value, extra keys are domain-prefixed, and nobody becomes a master."""
    if not all(asked.groups) or MASTERS in asked.groups:
        return False
    return all(_EXTRA_KEY.fullmatch(key) and values and all(values) for key, values in asked.extra.items())


def node_name(user: str) -> str:
    """Empty: this is no node's user name."""
    name = user.removeprefix(PREFIX)
    return name if name != user and not any(subdomain_problems(name)) else ""


def _with_status(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Everybody is either authenticated or not."""
    if name == NOBODY.name:
        return groups if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    if AUTHENTICATED in groups or UNAUTHENTICATED in groups:
        return groups
    return (*groups, AUTHENTICATED)
