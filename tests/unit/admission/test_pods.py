"""What admission does to a new pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from minikube.admission.chain import Chain
from minikube.admission.plugins import plugins
from minikube.auth.base import User
from minikube.auth.rbac import RbacAuthorizer
from minikube.errors import Forbidden, NotFound
from minikube.kit.clock import SYSTEM
from minikube.registry.base import Request
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore

REQUEST = Request(user=User("me"), field_manager="test")


@asynccontextmanager
async def registry() -> AsyncIterator[StoreRegistry]:
    made = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await made.start()
    running = asyncio.create_task(made.run())
    informers = LocalInformers(made)
    keeper = LocalClient(made, User("apiserver"), "kube-apiserver")
    made.use_admission(Chain(plugins(informers, RbacAuthorizer(informers), keeper, SYSTEM, Settings())))
    try:
        yield made
    finally:
        running.cancel()


async def create(made: StoreRegistry, plural: str, namespace: str, obj: dict[str, Any]) -> Any:
    kind = made.find("", "v1", plural)
    assert kind is not None
    return (await made.create(kind, namespace, obj, REQUEST)).tree(kind)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "x"}], **spec}}


def test_a_pod_gets_an_account_with_token_tolerations_and_a_priority() -> None:
    async def scene() -> None:
        async with registry() as made:
            await create(made, "namespaces", "", {"metadata": {"name": "x"}})
            with pytest.raises(Forbidden, match='serviceaccount "default" not found'):
                await create(made, "pods", "x", pod())
            await create(made, "serviceaccounts", "x", {"metadata": {"name": "default"}})
            spec = (await create(made, "pods", "x", pod()))["spec"]
            assert spec["serviceAccountName"] == "default"
            mount = spec["containers"][0]["volumeMounts"][0]
            assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
            assert spec["volumes"][0]["name"] == mount["name"]
            assert [t["tolerationSeconds"] for t in spec["tolerations"]] == [300, 300]
            assert spec["priority"] == 0
            with pytest.raises(Forbidden, match="no PriorityClass with name nope was found"):
                await create(made, "pods", "x", pod(priorityClassName="nope"))

    asyncio.run(scene())


def test_nothing_is_created_in_a_namespace_that_does_not_exist() -> None:
    async def scene() -> None:
        async with registry() as made:
            with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
                await create(made, "configmaps", "nowhere", {"metadata": {"name": "a"}})

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("pod_says", "account_says", "mounted"),
    [
        (None, None, True), (None, True, True), (None, False, False),
        (True, None, True), (True, True, True), (True, False, True),
        (False, None, False), (False, True, False), (False, False, False),
    ],
)  # fmt: skip
def test_the_pod_decides_about_its_token_before_the_account(
    pod_says: bool | None, account_says: bool | None, mounted: bool
) -> None:
    async def scene() -> None:
        async with registry() as made:
            await create(made, "namespaces", "", {"metadata": {"name": "x"}})
            said = {} if account_says is None else {"automountServiceAccountToken": account_says}
            await create(made, "serviceaccounts", "x", {"metadata": {"name": "default"}, **said})
            spec = (await create(made, "pods", "x", pod(automountServiceAccountToken=pod_says)))["spec"]
            assert bool(spec.get("volumes")) is mounted

    asyncio.run(scene())
