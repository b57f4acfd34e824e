"""What every Store promises, run over each implementation."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from minikube.store.base import Durability, EventType, Store
from minikube.store.encrypted import EncryptedStore
from minikube.store.envelope import Envelopes, KeyEncryptionKey
from minikube.store.errors import Compacted, FutureRevision, KeyExists, RevisionMismatch
from minikube.store.memory import MemoryStore
from minikube.store.sql import SqlStore


@pytest.fixture(params=["memory", "sql", "encrypted"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore()
    if request.param == "sql":
        opened = await SqlStore.open(tmp_path / "state.db")
    elif request.param == "encrypted":
        key = KeyEncryptionKey.made()
        opened = EncryptedStore(opened, Envelopes([key], key.id), ["/"])
    yield opened
    await opened.close()


async def test_a_created_record_is_read_back_with_its_revision(store: Store) -> None:
    record = await store.create("/a", b"1")
    assert await store.get("/a") == record
    assert record.revision == record.created == store.published


async def test_creating_twice_answers_with_the_record_that_is_there(store: Store) -> None:
    first = await store.create("/a", b"1")
    with pytest.raises(KeyExists) as refused:
        await store.create("/a", b"2")
    assert refused.value.current == first


async def test_an_update_with_an_old_revision_is_refused_and_changes_nothing(store: Store) -> None:
    first = await store.create("/a", b"1")
    second = await store.update("/a", b"2", expect=first.revision)
    with pytest.raises(RevisionMismatch) as refused:
        await store.update("/a", b"3", expect=first.revision)
    assert refused.value.current == second == await store.get("/a")
    assert second.created == first.revision


async def test_of_many_racing_updates_exactly_one_wins(store: Store) -> None:
    first = await store.create("/a", b"0")
    racing = [store.update("/a", b"%d" % n, expect=first.revision) for n in range(20)]
    answers = await asyncio.gather(*racing, return_exceptions=True)
    assert sum(1 for answer in answers if not isinstance(answer, BaseException)) == 1


async def test_when_a_caller_gives_up_it_is_known_what_became_of_his_write(store: Store) -> None:
    writing = [asyncio.create_task(store.create(f"/{n}", b"1")) for n in range(50)]
    for task in writing:
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait(writing)
    there = {number for number in range(50) if await store.get(f"/{number}")}
    await store.create("/later", b"1")
    assert {number for number in range(50) if await store.get(f"/{number}")} == there


async def test_a_deletion_carries_the_last_value_and_a_new_revision(store: Store) -> None:
    first = await store.create("/a", b"1")
    gone = await store.delete("/a", expect=first.revision)
    assert (gone.value, gone.revision) == (b"1", store.published)
    assert gone.revision > first.revision
    assert await store.get("/a") is None
    with pytest.raises(RevisionMismatch):
        await store.delete("/a", expect=first.revision)


async def test_a_list_is_of_one_snapshot_in_key_order_and_can_be_paged(store: Store) -> None:
    for name in "cab":
        await store.create(f"/x/{name}", name.encode())
    await store.create("/y/z", b"z")
    page = await store.list("/x/", limit=2)
    assert [record.key for record in page.records] == ["/x/a", "/x/b"]
    assert page.remaining == 1
    await store.create("/x/d", b"d")
    rest = await store.list("/x/", at=page.revision, start="/x/b\0", limit=2)
    assert [record.key for record in rest.records] == ["/x/c"]


async def test_the_past_is_listed_as_it_was(store: Store) -> None:
    first = await store.create("/a", b"1")
    second = await store.update("/a", b"2", expect=first.revision)
    await store.delete("/a", expect=second.revision)
    assert (await store.list("/")).records == ()
    assert (await store.list("/", at=second.revision)).records[0].value == b"2"
    assert (await store.list("/", at=first.revision)).records[0].value == b"1"
    with pytest.raises(FutureRevision):
        await store.list("/", at=store.published + 1)


async def test_a_watch_sees_every_change_once_in_order(store: Store) -> None:
    start = store.published
    async with store.watch("/a", after=start) as changes:
        record = await store.create("/a1", b"0")
        await store.create("/b", b"other")
        for n in range(1, 50):
            record = await store.update("/a1", b"%d" % n, expect=record.revision)
        await store.delete("/a1", expect=record.revision)
        seen = []
        async for batch in changes:
            seen += batch
            if seen[-1].type is EventType.DELETE:
                break
    assert [event.record.value for event in seen] == [b"%d" % n for n in range(50)] + [b"49"]
    revisions = [event.record.revision for event in seen]
    assert revisions == sorted(set(revisions))
    assert all(later.previous == earlier.record for earlier, later in itertools.pairwise(seen))


async def test_a_watch_from_the_past_catches_up(store: Store) -> None:
    first = await store.create("/a", b"1")
    second = await store.create("/b", b"2")
    async with store.watch("/", after=first.revision) as changes:
        assert [event.record for event in await anext(changes)] == [second]


async def test_what_is_compacted_is_refused_and_the_present_stays(store: Store) -> None:
    record = await store.create("/a", b"0")
    early = record.revision
    for n in range(5):
        record = await store.update("/a", b"%d" % n, expect=record.revision)
    await store.compact(record.revision)
    assert await store.get("/a") == record
    with pytest.raises(Compacted):
        async with store.watch("/", after=early):
            pass
    with pytest.raises(Compacted):
        await store.list("/", at=early)
    with pytest.raises(FutureRevision):
        async with store.watch("/", after=store.published + 1):
            pass


async def test_all_durabilities_share_one_order(store: Store) -> None:
    kinds = [Durability.DURABLE, Durability.BEHIND, Durability.MEMORY]
    writes = [store.create(f"/{n}", b"x", durability=kinds[n % 2]) for n in range(30)]
    records = await asyncio.gather(*writes)
    assert len({record.revision for record in records}) == 30
    updated = await store.update("/0", b"y", expect=records[0].revision, durability=Durability.MEMORY)
    assert updated.revision == store.published
