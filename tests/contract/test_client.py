"""What every Client does, in process and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from minikube.api.core_v1 import ConfigMap, Container, Namespace, PodSpec, PodTemplateSpec
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.apiserver.server import ApiServer
from minikube.auth.base import MASTERS, User
from minikube.auth.rbac import RbacAuthorizer
from minikube.client.base import Client, PatchType
from minikube.client.http import HttpClient
from minikube.client.informer import WatchInformer
from minikube.errors import AlreadyExists, Conflict, NotFound
from minikube.kit.clock import SYSTEM
from minikube.kit.keeper import Keeper
from minikube.pki.server import ensure_server_pki
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore
from minikube.transport.server import listening

ADMIN = User("admin", groups=(MASTERS,))


class Everybody:
    """An authenticator for which every token is the administrator's."""

    async def authenticate(self, credentials: object) -> User:
        return ADMIN


async def secret() -> str:
    return "anything"


@asynccontextmanager
async def opened(how: str, directory: Path) -> AsyncIterator[Client]:
    settings = Settings(data_dir=directory)
    registry = StoreRegistry(MemoryStore(), ALL, settings=settings)
    await registry.start()
    running = asyncio.create_task(registry.run())
    try:
        local = LocalClient(registry, ADMIN, "test")
        await local.create(Namespace(metadata=ObjectMeta(name="x")))
        if how == "local":
            yield local
            return
        pki = ensure_server_pki(settings, ["127.0.0.1"])
        rbac = RbacAuthorizer(LocalInformers(registry))
        api = ApiServer(
            registry, settings, pki, Everybody(), rbac, SYSTEM, address="127.0.0.1", keeper=Keeper({}, 0)
        )
        async with (
            listening(api.handle, "127.0.0.1", 0, None) as port,
            HttpClient(f"http://127.0.0.1:{port}", token=secret) as client,
        ):
            yield client
    finally:
        running.cancel()


Scene = Callable[[Client], Awaitable[None]]


@pytest.fixture(params=["local", "http"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with opened(request.param, tmp_path) as client:
                await asyncio.wait_for(scene(client), 20)

        asyncio.run(whole())

    return run


def config(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="x", labels={"app": name}), data=data)


def test_what_is_created_is_read_changed_and_deleted(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        made = await client.create(config("a", k="1"))
        assert made.metadata.uid
        with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
            await client.create(config("a"))
        patched = await client.patch(ConfigMap, "a", "x", patch={"data": {"k": "2"}}, type=PatchType.MERGE)
        assert patched.data == {"k": "2"}
        with pytest.raises(Conflict, match="the object has been modified"):
            await client.update(made)
        assert [one.metadata.name for one in (await client.list(ConfigMap, "x", labels="app=a")).items] == ["a"]
        assert (await client.list(ConfigMap, "x", labels="app=b")).items == ()
        with pytest.raises(Conflict):
            await client.delete(ConfigMap, "a", "x", uid="another")
        await client.delete(ConfigMap, "a", "x", uid=made.metadata.uid)
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await client.get(ConfigMap, "a", "x")

    play(scene)


def test_an_apply_patch_creates_and_changes(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
        made = await client.patch(ConfigMap, "a", "x", patch=body, type=PatchType.APPLY)
        assert made.data == {"k": "1"}
        again = await client.patch(ConfigMap, "a", "x", patch=body, type=PatchType.APPLY)
        assert again.metadata.resource_version == made.metadata.resource_version

    play(scene)


def test_a_watch_tells_changes_after_a_list(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        revision = (await client.list(ConfigMap, "x")).resource_version
        told: list[tuple[str, str]] = []
        async with client.watch(ConfigMap, "x", resource_version=revision) as events:
            await client.create(config("a"))
            await client.patch(ConfigMap, "a", "x", patch={"data": {"k": "2"}})
            await client.delete(ConfigMap, "a", "x")
            async for event in events:
                if event.type != "BOOKMARK":
                    told.append((event.type, event.object.metadata.name))
                if event.type == "DELETED":
                    break
        assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    play(scene)


def test_an_informer_follows_what_others_write(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        await client.create(config("a"))
        informer = WatchInformer(client, ConfigMap)
        seen = asyncio.Event()

        def handler(old: ConfigMap | None, new: ConfigMap | None) -> None:
            if new is not None and new.metadata.name == "b":
                seen.set()

        informer.add_handler(handler)
        running = asyncio.create_task(informer.run())
        await informer.wait_synced()
        assert informer.lister.get("a", "x") is not None
        await client.create(config("b"))
        await seen.wait()
        assert informer.lister.get("b", "x") is not None
        running.cancel()

    play(scene)


def test_every_listable_kind_is_found(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        found = {(one.group, one.plural) for one in await client.resources()}
        assert {("", "pods"), ("apps", "deployments"), ("batch", "jobs")} <= found
        partial = await client.list_partial(Namespace.resource)
        assert [one.metadata.name for one in partial.items] == ["x"]

    play(scene)


def test_whatever_has_a_scale_can_be_scaled_through_it(play: Callable[[Scene], None]) -> None:
    async def scene(client: Client) -> None:
        labels = {"app": "web"}
        pod = PodTemplateSpec(
            metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=(Container(name="c", image="nginx"),))
        )
        spec = ReplicaSetSpec(replicas=2, selector=LabelSelector(match_labels=labels), template=pod)
        await client.create(ReplicaSet(metadata=ObjectMeta(name="web", namespace="x"), spec=spec))
        found = await client.get_scale(ReplicaSet.resource, "web", "x")
        assert (found.spec.replicas, found.status.selector) == (2, "app=web")
        assert (await client.set_scale(ReplicaSet.resource, "web", "x", replicas=5)).spec.replicas == 5
        assert (await client.get(ReplicaSet, "web", "x")).spec.replicas == 5
        with pytest.raises(NotFound):
            await client.get_scale(ConfigMap.resource, "web", "x")

    play(scene)
