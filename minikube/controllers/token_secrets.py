"""Secrets of type kubernetes.io/service-account-token are filled, and go with their ServiceAccount.

Rules: kubernetes pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import ClassVar

from minikube.api.core_v1 import Secret, ServiceAccount
from minikube.api.meta import Key
from minikube.auth.legacy_tokens import sign_legacy
from minikube.controllers.base import After, Context, Watch
from minikube.errors import NotFound
from minikube.pki.signing_keys import SigningKeys

TYPE = "kubernetes.io/service-account-token"
ACCOUNT, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
BY_ACCOUNT = "service-account"


class TokenSecretController:
    name: ClassVar[str] = "tokens-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client = context.client
        secrets = context.informers.of(Secret)
        secrets.add_index(BY_ACCOUNT, _account_of)
        self._secrets = secrets.lister
        self._accounts = context.informers.of(ServiceAccount).lister
        self._keys = SigningKeys(context.settings.tls_dir / "service-account.key")
        self._ca = context.settings.tls_dir / "server-ca.crt"
        self.watches = (Watch(Secret, _itself), Watch(ServiceAccount, self._secrets_of))

    async def reconcile(self, key: Key) -> After | None:
        secret = self._secrets.get(key.name, key.namespace)
        if secret is None or secret.type != TYPE or secret.metadata.deletion_timestamp is not None:
            return None
        account = self._accounts.get(secret.metadata.annotations.get(ACCOUNT, ""), key.namespace)
        uid = secret.metadata.annotations.get(ACCOUNT_UID, "")
        if account is None or (uid and uid != account.metadata.uid):
            try:
                await self._client.delete(Secret, key.name, key.namespace, uid=secret.metadata.uid)
            except NotFound:
                return None
            return None
        missing = self._missing(secret, account, self._ca.read_bytes())
        if missing or not uid:
            annotations = {ACCOUNT_UID: account.metadata.uid}
            patch = {"metadata": {"uid": secret.metadata.uid, "annotations": annotations}, "data": missing}
            await self._client.patch(Secret, key.name, key.namespace, patch=patch)
        return None

    def _missing(self, secret: Secret, account: ServiceAccount, ca: bytes) -> Mapping[str, str]:
        """The data that is not there yet, or not the present CA's."""
        meta = secret.metadata
        wanted = {"ca.crt": _encoded(ca)}
        if not secret.data.get("namespace"):
            wanted["namespace"] = _encoded(meta.namespace.encode())
        if not secret.data.get("token"):
            wanted["token"] = _encoded(sign_legacy(self._keys, account, meta.name).encode())
        return {name: value for name, value in wanted.items() if secret.data.get(name) != value}

    def _secrets_of(self, account: ServiceAccount) -> Iterable[Key]:
        found = self._secrets.by_index(BY_ACCOUNT, f"{account.metadata.namespace}/{account.metadata.name}")
        return [Key(secret.metadata.namespace, secret.metadata.name) for secret in found]


def _itself(secret: Secret) -> Iterable[Key]:
    return (Key(secret.metadata.namespace, secret.metadata.name),) if secret.type == TYPE else ()


def _account_of(obj: Secret) -> Iterable[str]:
    if obj.type != TYPE:
        return ()
    return (f"{obj.metadata.namespace}/{obj.metadata.annotations.get(ACCOUNT, '')}",)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
