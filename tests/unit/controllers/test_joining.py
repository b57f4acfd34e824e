"""What joining machines find, which tokens live, and what becomes of a revoked node's pods."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    ConfigMap,
    Container,
    Namespace,
    Node,
    Pod,
    PodSpec,
    Secret,
    Taint,
)
from minikube.api.discovery_v1 import Endpoint, EndpointPort, EndpointSlice
from minikube.api.meta import Key, ObjectMeta
from minikube.auth import bootstrap_tokens as tokens
from minikube.auth import node_identity as identity
from minikube.controllers.cluster_info import HERE, ClusterInfoController
from minikube.controllers.revoked_nodes import REVOKED, RevokedNodesController
from minikube.controllers.token_cleaner import TokenCleanerController
from minikube.errors import NotFound
from minikube.node.join import cas_in
from minikube.pki.certificates import ensure_ca
from minikube.pki.join_token import BootstrapToken
from minikube.settings import Settings
from tests.fakes.cluster import Cluster

TOKEN = BootstrapToken("abcdef", "0123456789abcdef")


def play(scene: Callable[[Cluster], Awaitable[None]]) -> None:
    async def whole() -> None:
        cluster = await Cluster.open()
        for name in ("kube-system", "kube-public"):
            await cluster.client.create(Namespace(metadata=ObjectMeta(name=name)))
        try:
            await scene(cluster)
        finally:
            assert cluster.running is not None
            cluster.running.cancel()

    asyncio.run(whole())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_cluster_info_has_the_ca_and_a_signature_for_each_token(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        settings = Settings(data_dir=tmp_path)
        ca = ensure_ca(settings.tls_dir, "server-ca")
        meta = ObjectMeta(name="kubernetes", namespace="default")
        ready = Endpoint(addresses=("10.0.0.1",))
        port = EndpointPort(name="https", port=6443, protocol="TCP")
        await cluster.client.create(
            EndpointSlice(metadata=meta, address_type="IPv4", endpoints=(ready,), ports=(port,))
        )
        await cluster.client.create(tokens.own_token_secret(TOKEN))
        controller = ClusterInfoController(replace(cluster.context(), settings=settings))
        await controller.reconcile(HERE)
        found = await cluster.client.get(ConfigMap, HERE.name, HERE.namespace)
        assert cas_in(found) == ca.pem
        head, payload, sign = found.data["jws-kubeconfig-abcdef"].split(".")
        assert payload == ""
        assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "kid": "abcdef"}
        signed = f"{head}.{unpadded(found.data['kubeconfig'].encode())}".encode()
        assert sign == unpadded(hmac.new(TOKEN.secret.encode(), signed, hashlib.sha256).digest())
        await cluster.client.delete(Secret, "bootstrap-token-abcdef", "kube-system")
        await controller.reconcile(HERE)
        assert set((await cluster.client.get(ConfigMap, HERE.name, HERE.namespace)).data) == {"kubeconfig"}

    play(scene)


def test_an_expired_token_is_deleted_when_its_time_has_come() -> None:
    async def scene(cluster: Cluster) -> None:
        expires = cluster.clock.now() + timedelta(seconds=30)
        made = await cluster.client.create(tokens.token_secret(TOKEN, description="", expires=expires, groups=""))
        key = Key("kube-system", made.metadata.name)
        controller = TokenCleanerController(cluster.context())
        after = await controller.reconcile(key)
        assert after is not None
        assert after.seconds == 30
        cluster.clock.at += timedelta(seconds=30)
        await controller.reconcile(key)
        with pytest.raises(NotFound):
            await cluster.client.get(Secret, key.name, key.namespace)

    play(scene)


def test_a_revoked_node_loses_its_pods_and_gets_none_until_its_name_is_free() -> None:
    async def scene(cluster: Cluster) -> None:
        node = await cluster.node("n")
        own = Taint(key="own", effect="NoSchedule")
        await cluster.client.update(replace(node, spec=replace(node.spec, taints=(own,))))
        for name, where in (("here", "n"), ("there", "m")):
            spec = PodSpec(node_name=where, containers=(Container(name="c", image="i"),))
            await cluster.client.create(Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
        record = await cluster.client.create(identity.revoked("n", cluster.clock.now(), None))
        controller = RevokedNodesController(cluster.context())
        await cluster.settle(controller, Key("", "n"))
        assert [pod.metadata.name for pod in await cluster.pods()] == ["there"]
        assert (await cluster.client.get(Node, "n")).spec.taints == (own, REVOKED)
        await cluster.client.update(identity.free("n", record))
        await cluster.settle(controller, Key("", "n"))
        assert (await cluster.client.get(Node, "n")).spec.taints == (own,)

    play(scene)
