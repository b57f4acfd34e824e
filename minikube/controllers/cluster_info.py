"""Publishes what a machine needs before it joins: ConfigMap kube-public/cluster-info, signed for each join token.

Upstream's bootstrapsigner; the signatures are detached JWS (HS256) under `jws-kubeconfig-<token id>`, as kubeadm
checks them. Our own agents compare the CA's hash instead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import ClassVar

import yaml

from minikube.api.core_v1 import ConfigMap, Secret
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.meta import Key, ObjectMeta
from minikube.auth import bootstrap_tokens as tokens
from minikube.auth.join_roles import CLUSTER_INFO, INFO_NAMESPACE
from minikube.controllers.base import After, Context, Watch

HERE = Key(INFO_NAMESPACE, CLUSTER_INFO)
KUBERNETES = Key("default", "kubernetes")


def kubeconfig(ca: bytes, server: str) -> str:
    cluster = {"certificate-authority-data": base64.b64encode(ca).decode(), "server": server}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "", "cluster": cluster}],
            "contexts": None,
            "current-context": "",
            "preferences": {},
            "users": None,
        }
    )


def signature(content: str, token_id: str, secret: str) -> str:
    """A JWS whose payload is left out."""
    head = _base64(json.dumps({"alg": "HS256", "kid": token_id}, separators=(",", ":")).encode())
    signed = f"{head}.{_base64(content.encode())}".encode()
    return f"{head}..{_base64(hmac.new(secret.encode(), signed, hashlib.sha256).digest())}"


def signed(content: str, secrets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The ConfigMap's data."""
    data = {"kubeconfig": content}
    for values in secrets:
        if values.get("usage-bootstrap-signing") == "true":
            token_id = values.get("token-id", "")
            data[f"jws-kubeconfig-{token_id}"] = signature(content, token_id, values.get("token-secret", ""))
    return data


class ClusterInfoController:
    name: ClassVar[str] = "bootstrap-signer"
    workers: ClassVar[int] = 1
    watches = (
        Watch(Secret, lambda secret: (HERE,) if secret.type == tokens.TYPE else ()),
        Watch(ConfigMap, lambda obj: (HERE,) if Key(obj.metadata.namespace, obj.metadata.name) == HERE else ()),
        Watch(EndpointSlice, lambda obj: (HERE,) if obj.metadata.namespace == KUBERNETES.namespace else ()),
    )

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._secrets = context.informers.of(Secret).lister
        self._maps = context.informers.of(ConfigMap).lister
        self._slices = context.informers.of(EndpointSlice).lister
        self._ca = context.settings.tls_dir / "server-ca.crt"

    async def reconcile(self, key: Key) -> After | None:
        server = self._server()
        if not server:
            return None
        now = self._clock.now()
        living = [
            tokens.values_of(secret)
            for secret in self._secrets.list(tokens.NAMESPACE)
            if secret.type == tokens.TYPE
        ]
        data = signed(
            kubeconfig(self._ca.read_bytes(), server), [each for each in living if not tokens.expired(each, now)]
        )
        found = self._maps.get(HERE.name, HERE.namespace)
        if found is None:
            meta = ObjectMeta(name=HERE.name, namespace=HERE.namespace)
            await self._client.create(ConfigMap(metadata=meta, data=data))
        elif dict(found.data) != data:
            gone = {name: None for name in found.data if name not in data}
            await self._client.patch(ConfigMap, HERE.name, HERE.namespace, patch={"data": {**gone, **data}})
        return None

    def _server(self) -> str:
        found = self._slices.get(KUBERNETES.name, KUBERNETES.namespace)
        if found is None or not found.endpoints or not found.ports:
            return ""
        return f"https://{found.endpoints[0].addresses[0]}:{found.ports[0].port}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
