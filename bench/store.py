"""Acknowledged durable writes a second, 64 writers at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from minikube.store.sql import SqlStore

WRITERS, EACH, SIZE = 64, 200, 1500


async def run() -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = await SqlStore.open(Path(directory) / "state.db")

        async def write(writer: int) -> None:
            for number in range(EACH):
                await store.create(f"/bench/{writer}/{number}", b"x" * SIZE)

        began = time.perf_counter()
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        took = time.perf_counter() - began
        print(f"store: {WRITERS * EACH / took:,.0f} durable writes/s ({WRITERS} writers, {SIZE} bytes)")
        await store.close()
