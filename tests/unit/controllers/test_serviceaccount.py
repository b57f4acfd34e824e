"""What every namespace has from the start, and gets back."""

from __future__ import annotations

from pathlib import Path

import msgspec

from minikube.api.core_v1 import ConfigMap, ServiceAccount
from minikube.api.meta import Key
from minikube.controllers.serviceaccount import ROOT_CA, ServiceAccountController
from minikube.settings import Settings
from tests.fakes.cluster import Cluster


async def test_the_authority_and_the_default_account_are_made_and_put_right(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.tls_dir.mkdir(parents=True)
    (settings.tls_dir / "server-ca.crt").write_text("the authority")
    cluster = await Cluster.open()
    controller = ServiceAccountController(msgspec.structs.replace(cluster.context(), settings=settings))
    await controller.reconcile(Key("", "default"))
    assert (await cluster.client.get(ServiceAccount, "default", "default")).metadata.name == "default"
    patch = {"data": {"ca.crt": "somebody else", "more": "of it"}}
    await cluster.client.patch(ConfigMap, ROOT_CA, "default", patch=patch)
    await controller.reconcile(Key("", "default"))
    found = await cluster.client.get(ConfigMap, ROOT_CA, "default")
    assert dict(found.data) == {"ca.crt": "the authority"}
