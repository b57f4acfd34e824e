"""The client that remembers: what is known without a server, and what a second server is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minikube.api.core_v1 import ConfigMap, Namespace
from minikube.api.meta import ObjectMeta
from minikube.apiserver.server import ApiServer
from minikube.auth.base import MASTERS, User
from minikube.auth.rbac import RbacAuthorizer
from minikube.client.informer import WatchInformer
from minikube.client.remembering import RememberingClient
from minikube.errors import ServiceUnavailable
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
NOBODY = "http://127.0.0.1:9"


class Everybody:
    async def authenticate(self, credentials: object) -> User:
        return ADMIN


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[str, LocalClient]]:
    """The URL of an API with a namespace x, and a client in process."""
    settings = Settings(data_dir=directory)
    registry = StoreRegistry(MemoryStore(), ALL, settings=settings)
    await registry.start()
    running = asyncio.create_task(registry.run())
    local = LocalClient(registry, ADMIN, "test")
    await local.create(Namespace(metadata=ObjectMeta(name="x")))
    api = ApiServer(
        registry,
        settings,
        ensure_server_pki(settings, ["127.0.0.1"]),
        Everybody(),
        RbacAuthorizer(LocalInformers(registry)),
        SYSTEM,
        address="127.0.0.1",
        keeper=Keeper({}, 0),
    )
    try:
        async with listening(api.handle, "127.0.0.1", 0, None) as port:
            yield f"http://127.0.0.1:{port}", local
    finally:
        running.cancel()


def config_map(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="x"), data={"a": name})


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scene(), 20)

    asyncio.run(whole())


def test_what_was_watched_is_there_without_a_server(tmp_path: Path) -> None:
    known = tmp_path / "known"

    async def scene() -> None:
        async with serving(tmp_path) as (url, local), RememberingClient(url, directory=known) as client:
            informer = WatchInformer(client, ConfigMap, namespace="x")
            following = asyncio.create_task(informer.run())
            await informer.wait_synced()
            seen = asyncio.Event()
            informer.add_handler(lambda old, new: seen.set())
            await local.create(config_map("later"))
            await seen.wait()
            await client.write()
            following.cancel()
        assert {path.stat().st_mode & 0o777 for path in known.iterdir()} == {0o600}
        async with RememberingClient(NOBODY, directory=known) as client:
            found = await client.list(ConfigMap, "x")
            assert [each.metadata.name for each in found.items] == ["later"]
            assert (await client.get(ConfigMap, "later", "x")).data == {"a": "later"}
            with pytest.raises(ServiceUnavailable):
                await client.list(ConfigMap, "y")

    play(scene)


def test_once_a_server_has_answered_failures_are_told(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(tmp_path) as (url, _), RememberingClient(url, directory=tmp_path / "known") as client:
            await client.list(ConfigMap, "x")
            client.use([NOBODY])
            with pytest.raises(ServiceUnavailable):
                await client.list(ConfigMap, "x")

    play(scene)


def test_another_server_is_used_when_one_is_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(tmp_path) as (url, _), RememberingClient(NOBODY, directory=tmp_path / "known") as client:
            client.use([NOBODY, url])
            with pytest.raises(ServiceUnavailable):
                await client.get(Namespace, "x")
            assert (await client.get(Namespace, "x")).metadata.name == "x"

    play(scene)
