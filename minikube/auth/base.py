"""Who asks (User), what is asked (Action), and the two questions auth/ answers. No HTTP here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from minikube.api.authentication_v1 import UserInfo
from minikube.api.rbac_v1 import PolicyRule, RoleRef
from minikube.api.well_known import AUTHENTICATED as AUTHENTICATED
from minikube.api.well_known import MASTERS as MASTERS
from minikube.api.well_known import UNAUTHENTICATED as UNAUTHENTICATED


class User(msgspec.Struct, frozen=True):
    """authentication.k8s.io UserInfo."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}

    def info(self) -> UserInfo:
        return UserInfo(username=self.name, uid=self.uid, groups=self.groups, extra=self.extra)


ANONYMOUS = User("system:anonymous", groups=(UNAUTHENTICATED,))


class Action(msgspec.Struct, frozen=True):
    """What a request wants. `path` is set, and everything about resources empty, for non-resource requests."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""
    """The field selector of a list or watch."""


class Decision(msgspec.Struct, frozen=True):
    allowed: bool
    reason: str = ""


class Remarks(msgspec.Struct):
    """What is to be said of credentials, whether they are good or not."""

    warnings: list[str] = []
    """For whoever uses them."""
    annotations: dict[str, str] = {}
    """For the audit log."""


class Credentials(msgspec.Struct, frozen=True):
    """What a connection and its headers offered. Audiences are those a token must be meant for (one of them); none:
    the API server itself."""

    certificate: bytes = b""
    """DER of the peer's verified certificate."""
    bearer: str = ""
    remote: User | None = None
    """Whom the X-Remote-* headers name: true only if a front proxy sent them."""
    audiences: tuple[str, ...] = ()
    remarks: Remarks = msgspec.field(default_factory=Remarks)
    """Authenticators add to them."""


class Authenticator(Protocol):
    async def authenticate(self, credentials: Credentials) -> User | None:
        """None: these credentials are not for me. Raises Unauthorized when they are and are bad."""
        ...


class Authorizer(Protocol):
    def authorize(self, user: User, action: Action) -> Decision: ...


class RuleResolver(Protocol):
    """What is granted to whom, in rules."""

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]: ...

    def rules_of_role(self, reference: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None: ...
