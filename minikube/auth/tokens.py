"""Service account tokens: signed here, checked against the live ServiceAccount (and Pod) they are bound to.

Claims are those of kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt

from minikube.api.core_v1 import Pod, Secret, ServiceAccount
from minikube.api.meta import Key
from minikube.auth.base import Credentials, User
from minikube.client.base import Informers
from minikube.errors import Unauthorized
from minikube.pki.certificates import ensure_key

ALGORITHM = "ES256"
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 600, 3600, 1 << 32
BOUND_KINDS: Mapping[str, type[Any]] = {"pod": Pod, "secret": Secret}


def account_of(user: str) -> Key | None:
    """The service account that a user name stands for; None: it is not one's name."""
    prefix, _, rest = user.partition("system:serviceaccount:")
    namespace, colon, name = rest.partition(":")
    if prefix or not colon or not namespace or not name or ":" in name:
        return None
    return Key(namespace, name)


def account_groups(namespace: str) -> tuple[str, str]:
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"


class ServiceAccountTokens:
    def __init__(self, key: Path, informers: Informers, *, issuer: str) -> None:
        self._key = ensure_key(key)
        self._issuer = issuer
        self._accounts = informers.of(ServiceAccount).lister
        self._bound = {name: informers.of(kind).lister for name, kind in BOUND_KINDS.items()}
        numbers = self._key.public_key().public_numbers()
        self._key_id = hashlib.sha256(f"{numbers.x}.{numbers.y}".encode()).hexdigest()[:32]

    def sign(
        self,
        account: ServiceAccount,
        *,
        seconds: int = DEFAULT_SECONDS,
        audiences: Sequence[str] = (),
        bound: Mapping[str, Mapping[str, str]] | None = None,
    ) -> tuple[str, int]:
        """A token and the Unix time it ends; `bound` is {"pod": {"name", "uid"}} and the like."""
        now = int(time.time())
        seconds = max(MIN_SECONDS, min(seconds, MAX_SECONDS))
        meta = account.metadata
        kubernetes: dict[str, Any] = {
            "namespace": meta.namespace,
            "serviceaccount": {"name": meta.name, "uid": meta.uid},
            **(bound or {}),
        }
        claims = {
            "aud": list(audiences) or [self._issuer],
            "exp": now + seconds,
            "iat": now,
            "iss": self._issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": kubernetes,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta.namespace}:{meta.name}",
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id}), now + seconds

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized for a token that is not good any more, or never was."""
        if not credentials.bearer:
            return None
        try:
            claims = jwt.decode(
                credentials.bearer,
                self._key.public_key(),
                algorithms=[ALGORITHM],
                audience=self._issuer,
                issuer=self._issuer,
                options={"require": ["exp", "iat", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized from error
        about = claims.get("kubernetes.io") or {}
        namespace = about.get("namespace", "")
        named = about.get("serviceaccount") or {}
        account = self._accounts.get(named.get("name", ""), namespace)
        if account is None or account.metadata.uid != named.get("uid"):
            raise Unauthorized
        extra: dict[str, tuple[str, ...]] = {}
        for name, lister in self._bound.items():
            claim = about.get(name)
            if claim is None:
                continue
            found = lister.get(claim.get("name", ""), namespace)
            if found is None or found.metadata.uid != claim.get("uid"):
                raise Unauthorized
            extra[f"authentication.kubernetes.io/{name}-name"] = (claim["name"],)
            extra[f"authentication.kubernetes.io/{name}-uid"] = (claim["uid"],)
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(claims["sub"], account.metadata.uid, groups, extra)
