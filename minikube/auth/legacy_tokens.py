"""Tokens kept in Secrets of type kubernetes.io/service-account-token: they never expire and live as long as their
Secret, which must still hold the very token.

Rules: kubernetes pkg/serviceaccount/legacy.go.
"""

from __future__ import annotations

import base64
from typing import Any

import jwt

from minikube.api.core_v1 import Secret, ServiceAccount
from minikube.auth.accounts import account_groups, account_user
from minikube.auth.base import Credentials, User
from minikube.auth.tokens import INVALIDATED
from minikube.auth.verifier import Verifier
from minikube.client.base import Informers
from minikube.errors import Unauthorized
from minikube.pki.signing_keys import SigningKeys

ISSUER = "kubernetes/serviceaccount"
CLAIM = "kubernetes.io/serviceaccount"


def sign_legacy(keys: SigningKeys, account: ServiceAccount, secret: str) -> str:
    """The token that the Secret of this name holds."""
    meta = account.metadata
    claims = {
        "iss": ISSUER,
        f"{CLAIM}/namespace": meta.namespace,
        f"{CLAIM}/secret.name": secret,
        f"{CLAIM}/service-account.name": meta.name,
        f"{CLAIM}/service-account.uid": meta.uid,
        "sub": account_user(meta.namespace, meta.name),
    }
    key, public = keys.signing
    return jwt.encode(claims, key, public.algorithm, headers={"kid": public.id})


class LegacyTokens:
    def __init__(self, keys: SigningKeys, informers: Informers, *, audience: str) -> None:
        self._verifier = Verifier(keys, ISSUER)
        self._audience = audience
        self._secrets = informers.of(Secret).lister
        self._accounts = informers.of(ServiceAccount).lister

    async def authenticate(self, credentials: Credentials) -> User | None:
        token = credentials.bearer
        claims = self._verifier.claims(token)
        if claims is None:
            return None
        if credentials.audiences and self._audience not in credentials.audiences:
            raise Unauthorized("this token is for the API server only")

        def said(claim: str) -> Any:
            return claims.get(f"{CLAIM}/{claim}", "")

        namespace = said("namespace")
        secret = self._secrets.get(said("secret.name"), namespace)
        if secret is None or secret.metadata.deletion_timestamp is not None or _held(secret) != token:
            raise Unauthorized(INVALIDATED)
        account = self._accounts.get(said("service-account.name"), namespace)
        if account is None or account.metadata.uid != said("service-account.uid"):
            raise Unauthorized(INVALIDATED)
        name = account_user(namespace, account.metadata.name)
        return User(name, account.metadata.uid, account_groups(namespace))


def _held(secret: Secret) -> str:
    return base64.b64decode(secret.data.get("token", "")).decode(errors="replace")
