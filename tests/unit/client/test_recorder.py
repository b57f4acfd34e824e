"""Events: counted when they happen again, combined when they differ in words only, held back when they flood."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from minikube.api.core_v1 import Event, Node
from minikube.api.meta import ObjectMeta
from minikube.client.recorder import Recorder
from tests.fakes.cluster import Cluster, HandClock

NODE = Node(metadata=ObjectMeta(name="n", uid="u"))


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[Cluster, HandClock, Recorder]]:
    cluster, clock = await Cluster.open(), HandClock()
    recorder = Recorder(cluster.client, "kubelet", "n", clock)
    task = asyncio.create_task(recorder.run())
    try:
        yield cluster, clock, recorder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def told(cluster: Cluster) -> dict[str, int]:
    """Message -> count."""
    events = (await cluster.client.list(Event)).items
    return {each.message: each.count or 0 for each in events}


async def test_what_happens_again_is_counted() -> None:
    async with recording() as (cluster, _, recorder):
        for _ in range(3):
            recorder.normal(NODE, "Starting", "Starting kubelet.")
        await cluster.until(lambda: _is(cluster, {"Starting kubelet.": 3}))


async def test_the_tenth_message_for_one_reason_and_those_after_it_are_combined() -> None:
    async with recording() as (cluster, clock, recorder):
        for number in range(12):
            recorder.warning(NODE, "Unhealthy", f"try {number}")
        single = {f"try {number}": 1 for number in range(9)}
        await cluster.until(lambda: _is(cluster, {**single, "(combined from similar events): try 11": 3}))
        clock.at = clock.at.replace(year=clock.at.year + 1)
        recorder.warning(NODE, "Unhealthy", "much later")
        await cluster.until(lambda: _has(cluster, "much later"))


async def test_a_flood_about_one_object_is_held_back_others_are_told_of() -> None:
    other = Node(metadata=ObjectMeta(name="o", uid="o"))
    async with recording() as (cluster, clock, recorder):
        for _ in range(40):
            recorder.normal(NODE, "Pulled", "again")
        recorder.normal(other, "Pulled", "another")
        await cluster.until(lambda: _has(cluster, "another"))
        assert await told(cluster) == {"again": 25, "another": 1}
        await clock.sleep(300)
        for _ in range(5):
            recorder.normal(NODE, "Pulled", "again")
        recorder.normal(other, "Pulled", "last")
        await cluster.until(lambda: _has(cluster, "last"))
        assert (await told(cluster))["again"] == 26


async def _is(cluster: Cluster, wanted: dict[str, int]) -> bool:
    return await told(cluster) == wanted


async def _has(cluster: Cluster, message: str) -> bool:
    return message in await told(cluster)
