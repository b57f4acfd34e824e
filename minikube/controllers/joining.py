"""What a server sees to at its start so that nodes can join: roles, its own join token, the CA for clients."""

from __future__ import annotations

from datetime import datetime

from minikube.api.core_v1 import ConfigMap, Secret
from minikube.api.meta import ObjectMeta, T
from minikube.auth import node_identity as identity
from minikube.auth.bootstrap_tokens import own_token_secret
from minikube.auth.join_roles import CLIENT_CA, join_roles
from minikube.client.base import Client
from minikube.controllers.authentication_info import published
from minikube.errors import NotFound
from minikube.pki.certificates import Pair, load
from minikube.pki.requests import key_fingerprint
from minikube.pki.server import ServerPki
from minikube.settings import Settings


async def ensure_joining(client: Client, pki: ServerPki, settings: Settings) -> None:
    for role in join_roles():
        await _ensure(client, role)
    await _ensure(client, own_token_secret(pki.node_token.bootstrap))
    await publish_authentication(client, settings)


async def publish_authentication(client: Client, settings: Settings) -> None:
    """Into ConfigMap kube-system/extension-apiserver-authentication, where nodes and API extensions look for it."""
    meta = ObjectMeta(name=CLIENT_CA, namespace="kube-system")
    data = published(settings)
    found = await _ensure(client, ConfigMap(metadata=meta, data=data))
    if not data.items() <= found.data.items():
        await client.patch(ConfigMap, meta.name, meta.namespace, patch={"data": data})


async def bind_node(client: Client, node: str, pair: Pair, now: datetime) -> None:
    """Of the node inside a server: whatever key it has now is the one."""
    certificate = load(pair)
    assert certificate is not None
    key = key_fingerprint(certificate)
    try:
        found = await client.get(Secret, identity.secret_name(node), identity.NAMESPACE)
    except NotFound:
        await client.create(identity.bound(node, key, now, None))
        return
    if identity.decide(found, key) is not identity.Binding.OWN:
        await client.update(identity.bound(node, key, now, found))


async def _ensure(client: Client, obj: T) -> T:
    meta = obj.metadata
    try:
        return await client.get(type(obj), meta.name, meta.namespace)
    except NotFound:
        return await client.create(obj)
