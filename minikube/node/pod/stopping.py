"""Ends containers gracefully: preStop hooks at once, then stop signals wave by wave, SIGKILL when time is up.

A wave whose turn has not come when the grace is over is stopped then (terminationOrdering of the kubelet).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Container, Pod
from minikube.node.pod.decide import Kill, Terminate
from minikube.node.pod.hooks import HookFailed
from minikube.node.pod.pods import LEAST_GRACE, container_named

if TYPE_CHECKING:
    from minikube.node.agent import Agent


class Stopper:
    """Of one pod. A hook runs once for a container, also when its stop is begun anew with less grace."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._told: set[str] = set()
        self._hooked: set[str] = set()

    async def kill(self, pod: Pod, kill: Kill) -> None:
        await self.terminate(pod, Terminate(((kill,),)))

    async def terminate(self, pod: Pod, action: Terminate) -> None:
        """Every container has its own grace, counted from now: waiting for earlier waves uses it up."""
        begun = self._agent.clock.monotonic()
        hooks = {
            kill.container: asyncio.create_task(
                self._pre_stop(pod, kill, hook=action.hooks), name=f"preStop of {kill.name}"
            )
            for wave in action.waves
            for kill in wave
        }
        stops: list[asyncio.Task[None]] = []
        try:
            for wave in action.waves:
                before = tuple(stops)
                for kill in wave:
                    stop = self._stop(pod, kill, hooks[kill.container], before, begun)
                    stops.append(asyncio.create_task(stop, name=f"stop of {kill.name}"))
            await asyncio.gather(*stops)
        finally:
            for task in (*hooks.values(), *stops):
                task.cancel()

    async def _stop(
        self, pod: Pod, kill: Kill, hook: asyncio.Task[None], before: Sequence[asyncio.Task[None]], begun: float
    ) -> None:
        """`before` are the stops that come first, as long as the grace lasts."""
        clock = self._agent.clock
        await hook
        left = kill.grace - (clock.monotonic() - begun)
        if before and left > 0:
            await asyncio.wait(before, timeout=left)
        left = kill.grace - (clock.monotonic() - begun)
        wanted = container_named(pod, kill.name)
        signal = wanted.lifecycle.stop_signal if wanted is not None and wanted.lifecycle is not None else ""
        await self._agent.runtime.stop_container(kill.container, grace=max(LEAST_GRACE, left), signal=signal)

    async def _pre_stop(self, pod: Pod, kill: Kill, *, hook: bool) -> None:
        wanted = container_named(pod, kill.name)
        if wanted is None:
            return
        self._tell(pod, wanted, kill)
        handler = wanted.lifecycle.pre_stop if wanted.lifecycle is not None else None
        if not hook or handler is None or kill.grace <= 0 or kill.container in self._hooked:
            return
        self._hooked.add(kill.container)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(kill.grace):
                    await self._agent.hook(pod, wanted, kill.container, handler)
        except HookFailed as error:
            self._agent.event(pod, wanted, "FailedPreStopHook", f"PreStopHook failed: {error}")

    def _tell(self, pod: Pod, wanted: Container, kill: Kill) -> None:
        if kill.container not in self._told:
            self._told.add(kill.container)
            self._agent.event(pod, wanted, "Killing", kill.why or f"Stopping container {kill.name}")
