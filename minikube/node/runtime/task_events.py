"""What happens to containers: containerd's own task events, told when CRI shows what they say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from minikube.kit.tasks import guard
from minikube.node.runtime.base import ContainerEvent, RuntimeFault
from minikube.node.runtime.channel import Native
from minikube.node.runtime.wire import decode, encode

FILTER = 'topic~="/tasks/(start|exit|oom)",namespace==k8s.io'
STATUS_FOLLOWS = (0.08, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Pauses between looks for the status that an event announced, in seconds."""

AGAIN_AFTER = 1.0
"""Seconds until a stream of events that has ended is asked for again."""


class Shown(msgspec.Struct, frozen=True):
    """What CRI shows of a container at a moment."""

    pod_uid: str
    exited: bool


class TaskEvents:
    """`shown` looks at a container: None when it is gone, or CRI does not answer."""

    def __init__(self, native: Native, shown: Callable[[str], Awaitable[Shown | None]]) -> None:
        self._native, self._shown = native, shown
        self._told: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self) -> AsyncIterator[ContainerEvent]:
        """Never ends. CRI's status follows the events by some 70 ms, on a busy machine by more."""
        self._start(guard("task events", self._listen), "task events")
        try:
            while True:
                yield await self._told.get()
        finally:
            for task in self._tasks:
                task.cancel()

    async def _listen(self) -> None:
        while True:
            self._told.put_nowait(ContainerEvent(""))
            with contextlib.suppress(RuntimeFault):
                async for envelope in self._native.stream("events", "Events/Subscribe", encode((1, FILTER))):
                    container = container_of(envelope)
                    if container is not None:
                        ended = b"/tasks/exit" in envelope
                        self._start(self._tell(container, ended=ended), f"event of {container}")
            await asyncio.sleep(AGAIN_AFTER)

    async def _tell(self, container: str, *, ended: bool) -> None:
        """When CRI's status shows what the event said, or will not for a while."""
        pod = ""
        for pause in STATUS_FOLLOWS:
            await asyncio.sleep(pause)
            shown = await self._shown(container)
            if shown is None:
                break
            pod = shown.pod_uid
            if not ended or shown.exited:
                break
        self._told.put_nowait(ContainerEvent(pod, container))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def container_of(envelope: bytes) -> str | None:
    """The container of a task event; None for the exit of an exec'd process."""
    payload = dict(decode(envelope)).get(4, b"")
    body = dict(decode(payload if isinstance(payload, bytes) else b"")).get(2, b"")
    fields = dict(decode(body if isinstance(body, bytes) else b""))
    container, process = fields.get(1, b""), fields.get(2, b"")
    if not isinstance(container, bytes) or (isinstance(process, bytes) and process not in (b"", container)):
        return None
    return container.decode()
