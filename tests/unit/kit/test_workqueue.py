"""Delayed adds, on the loop that servers run on."""

from __future__ import annotations

import asyncio

import uvloop

from minikube.kit.workqueue import WorkQueue


def test_the_earlier_of_two_delays_counts_however_short() -> None:
    async def run() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 0.0001)
        queue.add_after("a", 0.0002)
        queue.add_after("b", 60)
        queue.add_after("b", 0.0001)
        return sorted([await asyncio.wait_for(queue.get(), 5) for _ in range(2)])

    assert uvloop.run(run()) == ["a", "b"]
