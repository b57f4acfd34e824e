"""Encryption at rest: sealed values, and a store that is switched while it is used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from minikube.store.encryption import Encryption, EncryptionError
from minikube.store.envelope import Envelopes, KeyEncryptionKey, SealedValue, sealed_with
from minikube.store.errors import StoreError
from minikube.store.memory import MemoryStore
from minikube.store.sql import SqlStore

SECRETS = ("/registry/core/secrets/",)
PATH = "/registry/core/secrets/default/a"


def test_a_sealed_value_opens_only_under_its_own_path_unchanged() -> None:
    key = KeyEncryptionKey.made()
    envelopes = Envelopes([key], key.id)
    sealed = envelopes.seal(PATH, b"open sesame")
    assert b"sesame" not in sealed
    assert sealed_with(sealed) == key.id
    assert Envelopes([key], None).open(PATH, sealed) == b"open sesame"
    assert envelopes.seal(PATH, b"open sesame") != sealed
    for path, stored in ((PATH + "b", sealed), (PATH, sealed[:-1] + bytes([sealed[-1] ^ 1]))):
        with pytest.raises(SealedValue, match="cannot be decrypted"):
            envelopes.open(path, stored)
    with pytest.raises(SealedValue, match="not among the keys"):
        Envelopes([KeyEncryptionKey.made()], None).open(PATH, sealed)
    assert envelopes.open(PATH, b'{"plain": 1}') == b'{"plain": 1}'


async def settled(encryption: Encryption) -> None:
    """Lets the re-encryption run to its end."""
    running = asyncio.create_task(encryption.run())
    await encryption.settled.wait()
    running.cancel()


async def stored(inner: MemoryStore | SqlStore) -> list[str | None]:
    page = await inner.list(SECRETS[0])
    return [sealed_with(record.value) for record in page.records]


def test_switched_on_rotated_and_off_while_it_is_used(tmp_path: Path) -> None:
    async def scene() -> None:
        inner = MemoryStore()
        encryption = Encryption(inner, tmp_path / "keys.json", SECRETS)
        store = encryption.store
        for number in range(100):
            await store.create(f"{PATH}{number:03}", b"%d" % number)
        other = await store.create("/registry/core/configmaps/default/a", b"plain")
        encryption.enable()
        with pytest.raises(EncryptionError, match="secrets are encrypted already"):
            encryption.enable()
        with pytest.raises(EncryptionError, match="under way"):
            encryption.rotate()
        await settled(encryption)
        first = (await encryption.status()).key
        assert await stored(inner) == [first] * 100
        assert (await inner.get("/registry/core/configmaps/default/a")) == other
        encryption.rotate()
        await store.create(f"{PATH}new", b"new")
        await settled(encryption)
        status = await encryption.status()
        assert status.key != first
        assert status.keys == (status.key,)
        assert await stored(inner) == [status.key] * 101
        encryption.disable()
        await settled(encryption)
        assert await stored(inner) == [None] * 101
        values = [record.value for record in (await store.list(SECRETS[0])).records]
        assert values == [*(b"%d" % number for number in range(100)), b"new"]
        assert (await encryption.status()).keys == ()

    asyncio.run(scene())


def test_watchers_see_the_plain_value_whatever_happens_beneath(tmp_path: Path) -> None:
    async def scene() -> None:
        encryption = Encryption(MemoryStore(), tmp_path / "keys.json", SECRETS)
        store = encryption.store
        await store.create(PATH, b"value")
        async with store.watch("/registry/", after=store.published) as batches:
            encryption.enable()
            await settled(encryption)
            encryption.rotate()
            await settled(encryption)
            seen = []
            while len(seen) < 2:
                seen += await anext(batches)
        assert [(event.record.value, event.previous and event.previous.value) for event in seen] == [
            (b"value", b"value"),
            (b"value", b"value"),
        ]

    asyncio.run(scene())


def test_a_server_that_was_killed_half_way_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        inner = MemoryStore()
        before = Encryption(inner, tmp_path / "keys.json", SECRETS)
        for name in "abc":
            await before.store.create(PATH + name, name.encode())
        before.enable()
        await before.store.update(PATH + "b", b"B", expect=(await inner.get(PATH + "b")).revision)  # type: ignore[union-attr]
        after = Encryption(inner, tmp_path / "keys.json", SECRETS)
        status = await after.status()
        assert (status.stage, status.done, status.total) == ("re-encrypting", 1, 3)
        await settled(after)
        assert await stored(inner) == [status.key] * 3
        assert [one.value for one in (await after.store.list(SECRETS[0])).records] == [b"a", b"B", b"c"]

    asyncio.run(scene())


def contents(directory: Path) -> bytes:
    return b"".join(one.read_bytes() for one in directory.glob("state.db*"))


def test_nothing_plain_is_left_in_the_files(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "state.db"
        inner = await SqlStore.open(path)
        encryption = Encryption(inner, tmp_path / "keys.json", SECRETS)
        await encryption.store.create(PATH, b"xyzzy-plugh")
        encryption.enable()
        await settled(encryption)
        assert b"xyzzy-plugh" not in contents(tmp_path)
        await inner.close()
        again = await SqlStore.open(path)
        opened = Encryption(again, tmp_path / "keys.json", SECRETS)
        found = await opened.store.get(PATH)
        await again.close()
        assert found is not None
        assert found.value == b"xyzzy-plugh"

    asyncio.run(scene())


def test_keys_are_private_and_without_them_nothing_starts(tmp_path: Path) -> None:
    async def scene() -> None:
        inner, path = MemoryStore(), tmp_path / "keys.json"
        encryption = Encryption(inner, path, SECRETS)
        await encryption.store.create(PATH, b"value")
        encryption.enable()
        await settled(encryption)
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(msgspec.json.decode(path.read_bytes())["keys"]) == 1
        path.unlink()
        with pytest.raises(SealedValue, match="not among the keys at hand"):
            await Encryption(inner, path, SECRETS).store.list(SECRETS[0])
        path.write_text("nonsense")
        with pytest.raises(StoreError, match=r"keys\.json cannot be read"):
            Encryption(inner, path, SECRETS)

    asyncio.run(scene())
