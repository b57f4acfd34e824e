"""Service account tokens: signed here, checked against the live ServiceAccount and what they are bound to.

Claims and rules: kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin and kubernetes
pkg/serviceaccount/claims.go.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import jwt
import msgspec

from minikube.api.core_v1 import Node, Pod, Secret, ServiceAccount
from minikube.api.meta import ObjectMeta
from minikube.auth.accounts import account_groups, account_user
from minikube.auth.base import Credentials, User
from minikube.auth.coverage import quoted
from minikube.auth.verifier import Verifier, audiences_of
from minikube.client.base import Informers, Lister
from minikube.errors import Unauthorized
from minikube.kit.clock import Clock
from minikube.pki.signing_keys import SigningKeys

LEEWAY = timedelta(seconds=60)
"""How long the token of something that is gone lives on."""
EXTRA = "authentication.kubernetes.io"
STALE = "authentication.k8s.io/stale-token"
INVALIDATED = "service account token has been invalidated"


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    uid: str = ""


class Bound(msgspec.Struct, frozen=True, omit_defaults=True, rename={"warn_after": "warnafter"}):
    """The claim kubernetes.io: whose token this is and what it lives and dies with."""

    namespace: str
    serviceaccount: Reference
    pod: Reference | None = None
    secret: Reference | None = None
    node: Reference | None = None
    warn_after: int | None = None
    """Unix time after which a use is noted in the audit log: the token was asked for this long only."""


class ServiceAccountTokens:
    def __init__(self, keys: SigningKeys, informers: Informers, clock: Clock, *, issuer: str) -> None:
        self.keys = keys
        self.issuer = issuer
        self._clock = clock
        self._accounts = informers.of(ServiceAccount).lister
        self._pods = informers.of(Pod).lister
        self._secrets = informers.of(Secret).lister
        self._nodes = informers.of(Node).lister
        self._verifier = Verifier(keys, issuer)

    def sign(self, bound: Bound, *, until: datetime, audiences: tuple[str, ...] = ()) -> str:
        """A token for these audiences (none: the API server)."""
        now = int(self._clock.now().timestamp())
        claims = {
            "aud": list(audiences or (self.issuer,)),
            "exp": int(until.timestamp()),
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": msgspec.to_builtins(bound),
            "nbf": now,
            "sub": account_user(bound.namespace, bound.serviceaccount.name),
        }
        key, public = self.keys.signing
        return jwt.encode(claims, key, public.algorithm, headers={"kid": public.id})

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized for a token of ours that is not good any more, or never was."""
        claims = self._verifier.claims(credentials.bearer)
        if claims is None:
            return None
        now = self._clock.now().timestamp()
        if now >= claims.get("exp", 0):
            raise Unauthorized("service account token has expired")
        if now < claims.get("nbf", 0):
            raise Unauthorized("service account token is not valid yet")
        wanted, given = credentials.audiences or (self.issuer,), audiences_of(claims)
        if not set(wanted) & set(given):
            raise Unauthorized(
                f"token audiences {quoted(given)} is invalid for the target audiences {quoted(wanted)}"
            )
        try:
            bound = msgspec.convert(claims.get("kubernetes.io"), Bound)
        except msgspec.ValidationError as error:
            raise Unauthorized("service account claims are missing") from error
        user = self._user(bound, str(claims.get("jti", "")))
        if bound.warn_after is not None and now > bound.warn_after:
            late = int(now) - bound.warn_after
            said = f"subject: {claims.get('sub', '')}, seconds after warning threshold: {late}"
            credentials.remarks.annotations[STALE] = said
        return user

    def _user(self, bound: Bound, identity: str) -> User:
        namespace = bound.namespace
        account = self._live(self._accounts, bound.serviceaccount, namespace)
        extra: dict[str, tuple[str, ...]] = {}
        if identity:
            extra[f"{EXTRA}/credential-id"] = (f"JTI={identity}",)
        if bound.secret is not None:
            self._live(self._secrets, bound.secret, namespace)
        if bound.pod is not None:
            self._live(self._pods, bound.pod, namespace)
            extra[f"{EXTRA}/pod-name"] = (bound.pod.name,)
            extra[f"{EXTRA}/pod-uid"] = (bound.pod.uid,)
        if bound.node is not None:
            if bound.pod is None:
                self._live(self._nodes, bound.node, "")
            extra[f"{EXTRA}/node-name"] = (bound.node.name,)
            if bound.node.uid:
                extra[f"{EXTRA}/node-uid"] = (bound.node.uid,)
        name = account_user(namespace, bound.serviceaccount.name)
        return User(name, account.uid, account_groups(namespace), extra)

    def _live(self, lister: Lister[Any], reference: Reference, namespace: str) -> ObjectMeta:
        """Raises Unauthorized when what the token is bound to is gone, or is another of the same name."""
        found = lister.get(reference.name, namespace)
        if found is None or found.metadata.uid != reference.uid:
            raise Unauthorized(INVALIDATED)
        meta: ObjectMeta = found.metadata
        if meta.deletion_timestamp is not None and meta.deletion_timestamp < self._clock.now() - LEEWAY:
            raise Unauthorized(INVALIDATED)
        return meta
