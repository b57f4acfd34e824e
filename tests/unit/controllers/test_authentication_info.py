"""What extension API servers are told of authentication."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from minikube.api.core_v1 import ConfigMap, Namespace
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.authentication_info import NAME, NAMESPACE, AuthenticationInfoController
from minikube.kit.files import write_private
from minikube.settings import Settings
from tests.fakes.cluster import Cluster


def test_the_cas_are_published_and_put_right(tmp_path: Path) -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        proxies = tmp_path / "proxy-ca.crt"
        settings = Settings(
            data_dir=tmp_path, requestheader_client_ca_file=str(proxies), requestheader_allowed_names=("front",)
        )
        write_private(proxies, b"proxies")
        write_private(settings.tls_dir / "client-ca.crt", b"clients")
        write_private(settings.tls_dir / "request-header-ca.crt", b"ours,")
        controller = AuthenticationInfoController(msgspec.structs.replace(cluster.context(), settings=settings))
        key = Key("", NAMESPACE)
        await controller.reconcile(key)
        await cluster.client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
        await controller.reconcile(key)
        found = await cluster.client.get(ConfigMap, NAME, NAMESPACE)
        assert found.data["client-ca-file"] == "clients"
        assert found.data["requestheader-client-ca-file"] == "ours,proxies"
        assert found.data["requestheader-allowed-names"] == '["system:auth-proxy","front"]'
        await cluster.client.patch(ConfigMap, NAME, NAMESPACE, patch={"data": {"client-ca-file": "x", "own": "y"}})
        await controller.reconcile(key)
        found = await cluster.client.get(ConfigMap, NAME, NAMESPACE)
        assert (found.data["client-ca-file"], found.data["own"]) == ("clients", "y")

    asyncio.run(scene())
