"""A runtime that treats its caller badly: a real one, between which and the agent something goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from minikube.node.runtime.base import ContainerEvent, Runtime, Unavailable


class Unkind:
    """`refuse[name]` calls of a method fail before they happen, `lose[name]` after they have succeeded."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.refuse: Counter[str] = Counter()
        self.lose: Counter[str] = Counter()
        self.deaf = False
        """Events are lost; when it ends, the gap is told."""
        self.doubled = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._runtime, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def call(*given: Any, **named: Any) -> Any:
            if self.refuse[name] > 0:
                self.refuse[name] -= 1
                raise Unavailable(f"{name}: connection refused")
            answer = await method(*given, **named)
            if self.lose[name] > 0:
                self.lose[name] -= 1
                raise Unavailable(f"{name}: connection reset")
            return answer

        return call

    async def events(self) -> AsyncIterator[ContainerEvent]:
        gap = False
        async for event in self._runtime.events():
            if self.deaf:
                gap = True
                continue
            if gap:
                gap = False
                yield ContainerEvent("")
            yield event
            if self.doubled:
                yield event
