"""A container's log as it is read for a client: what is there, and with follow what comes until its end.

A gigabyte passes in slices that hold the GIL for less than a millisecond each; while some are written to the client
the next are made. Nothing is polled: the kernel tells of new lines, the pod's worker of the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Protocol

from minikube.kit.inotify import NextChange
from minikube.node.kubelet.log_files import Reader
from minikube.node.kubelet.log_text import Renderer, Wanted

SLICES = 4
"""So many blocks are made at a time."""
GATHER_SECONDS = 0.02
"""Lines that come within this time of each other go together."""
LOOK_SECONDS = 1.0
"""How often to look without being told (upstream's logForceCheckPeriod)."""


class Run(Protocol):
    """One run of a container, as its log's reader sees it."""

    def over(self) -> bool:
        """Whether nothing more will be written."""
        ...

    def looked(self) -> asyncio.Future[None]:
        """Done when `over` may say something else than before this call; shared."""
        ...


async def read(path: Path, wanted: Wanted, run: Run, changes: NextChange) -> AsyncGenerator[bytes, None]:
    """The wanted text; with follow until the run is over. Raises OSError. Close it in the end."""
    slices = _Slices(await asyncio.to_thread(Reader, path, wanted), wanted)
    left = wanted.limit
    try:
        async with aclosing(
            _followed(slices, path.parent, run, changes) if wanted.follow else slices.rest()
        ) as all:
            async for each in all:
                piece = each[:left]
                if left is not None:
                    left -= len(piece)
                if piece:
                    yield piece
                if left == 0:
                    return
    finally:
        await slices.close()


class _Slices:
    """What a thread reads and renders, one step ahead."""

    def __init__(self, reader: Reader, wanted: Wanted) -> None:
        self._reader, self._renderer = reader, Renderer(wanted)
        self._next: asyncio.Task[Sequence[bytes]] | None = None

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """All there is by now."""
        while pieces := await self._step():
            self._begin()
            for piece in pieces:
                yield piece

    async def close(self) -> None:
        if self._next is not None:
            await asyncio.wait({self._next})
        self._reader.close()

    def _begin(self) -> asyncio.Task[Sequence[bytes]]:
        if self._next is None:
            self._next = asyncio.create_task(asyncio.to_thread(self._some), name="slices of a log")
        return self._next

    async def _step(self) -> Sequence[bytes]:
        begun = self._begin()
        await asyncio.wait({begun})  # a thread cannot be cancelled
        self._next = None
        return begun.result()

    def _some(self) -> Sequence[bytes]:
        pieces: list[bytes] = []
        while len(pieces) < SLICES and (block := self._reader.block()):
            pieces.append(self._renderer.render(block))
        return pieces


async def _followed(slices: _Slices, directory: Path, run: Run, changes: NextChange) -> AsyncGenerator[bytes, None]:
    with changes:
        while True:
            news = {run.looked()}
            with suppress(OSError):  # too many are watched on this machine, or the log has been removed
                news.add(changes.of(directory))
            over = run.over()
            async for piece in slices.rest():
                yield piece
            if over:
                return
            await asyncio.wait(news, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER_SECONDS)
