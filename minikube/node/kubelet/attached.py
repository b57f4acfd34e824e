"""An attached process, whose streams end when its container has, whatever the runtime says.

containerd's streaming server holds an attached stream for as long as somebody's stdin waits in the container's
pipe, which after the container's end is for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from minikube.node.runtime.base import ExecStreams

T = TypeVar("T")
LOOK_SECONDS = 0.5
LAST_WORDS_SECONDS = 1.0
"""What the container wrote before its end comes within this time of the end, or of what came before."""


class Attached:
    """ExecStreams around those of the runtime. `over()` says whether the container has ended."""

    def __init__(self, streams: ExecStreams, over: Callable[[], bool]) -> None:
        self._streams = streams
        self._ended = asyncio.create_task(_once(over), name="end of an attached container")

    async def read(self, stream: int) -> bytes:
        return await self._unless_ended(self._streams.read(stream), b"")

    async def write(self, data: bytes) -> None:
        await self._unless_ended(self._streams.write(data), None)

    async def close_stdin(self) -> None:
        await self._streams.close_stdin()

    async def resize(self, width: int, height: int) -> None:
        await self._streams.resize(width, height)

    async def wait(self) -> int:
        return await self._unless_ended(self._streams.wait(), 0)

    async def close(self) -> None:
        self._ended.cancel()
        await asyncio.wait({self._ended})
        await self._streams.close()

    async def _unless_ended(self, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait({task}, timeout=LAST_WORDS_SECONDS)
            return task.result() if task.done() else otherwise
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _once(over: Callable[[], bool]) -> None:
    while not over():  # noqa: ASYNC110 -- a look at what the pod's worker has seen
        await asyncio.sleep(LOOK_SECONDS)
