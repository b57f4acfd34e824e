"""Graceful node shutdown: pods end before the machine does, those of low priority first.

Rules of pkg/kubelet/nodeshutdown. Where systemd runs, an inhibitor holds the shutdown back and logind tells of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from minikube.api.core_v1 import Pod
from minikube.node.host import logind
from minikube.node.node_events import Told
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import grace_of
from minikube.node.upkeep.thresholds import pairs, parse_duration
from minikube.settings import Settings, SettingsError

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

CRITICAL = 2_000_000_000
"""Pods of this priority and above (system-cluster-critical) are critical."""
MESSAGE = "Pod was terminated in response to imminent node shutdown."
BEGINS = Told("NodeShutdown", "Shutdown manager detected shutdown event")
CANCELLED = Told("NodeShutdown", "Shutdown manager detected shutdown cancellation")


class Share(msgspec.Struct, frozen=True):
    """The seconds that pods of this priority, and above up to the next share's, have for their end."""

    priority: int
    seconds: float


def shares_of(settings: Settings) -> tuple[Share, ...]:
    """Lowest priority first; none: pods are not looked after when the machine goes down. Raises SettingsError."""
    whole, critical = settings.shutdown_grace_period, settings.shutdown_grace_period_critical_pods
    try:
        given = pairs(settings.shutdown_grace_period_by_pod_priority, "=")
        found = [Share(int(priority), parse_duration(seconds)) for priority, seconds in given]
    except ValueError as error:
        raise SettingsError(f"setting shutdown_grace_period_by_pod_priority: {error}") from error
    if found and whole:
        raise SettingsError("give shutdown_grace_period or shutdown_grace_period_by_pod_priority, not both")
    if not found and whole > 0:
        critical = min(critical, whole)
        found = [Share(0, whole - critical), Share(CRITICAL, critical)]
    return tuple(sorted(found, key=lambda each: each.priority))


def grouped(pods: Iterable[Pod], shares: Sequence[Share]) -> list[tuple[Share, list[Pod]]]:
    """Who ends together, in order; who is below the lowest share has that one."""
    groups: list[tuple[Share, list[Pod]]] = [(share, []) for share in shares]
    for pod in pods:
        fitting = [index for index, each in enumerate(shares) if each.priority <= (pod.spec.priority or 0)]
        groups[max(fitting, default=0)][1].append(pod)
    return [group for group in groups if group[1]]


def ending(pod: Pod, share: Share) -> Ending:
    """Its own grace, within its share of the time."""
    grace = min(grace_of(pod), share.seconds)
    return Ending("Terminated", MESSAGE, grace=grace, disruption="TerminationByKubelet")


class GracefulShutdown:
    """`run` follows logind until cancelled; does nothing when no time is granted or there is no systemd.

    Raises SettingsError when made.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._shares = shares_of(agent.settings)
        self._told = logind.runs()

    @property
    def at_stop(self) -> bool:
        """Whether pods end with the agent itself: nobody else would tell that the machine goes down."""
        return bool(self._shares) and not self._told

    async def run(self) -> None:
        """Raises NoLogind."""
        if not (self._shares and self._told):
            await asyncio.Event().wait()
        await logind.allow(sum(each.seconds for each in self._shares))
        async with logind.shutdowns() as told:
            lock = contextlib.AsyncExitStack()
            try:
                await lock.enter_async_context(logind.held())
                async for going_down in told:
                    await self._hear(going_down=going_down)
                    await lock.aclose()
                    if not going_down:
                        await lock.enter_async_context(logind.held())
            finally:
                await lock.aclose()

    async def _hear(self, *, going_down: bool) -> None:
        self._agent.reporting.tell(self._agent.node(), BEGINS if going_down else CANCELLED)
        if going_down:
            await self.end_pods()
        else:
            self._agent.shutting_down = False
            self._agent.reporting.soon()

    async def end_pods(self) -> None:
        """Group by group; returns when all have ended or the time is over."""
        agent = self._agent
        agent.shutting_down = True
        agent.reporting.soon()
        workers = dict(agent.workers)
        for share, pods in grouped((each.pod for each in workers.values()), self._shares):
            mine = [workers[pod.metadata.uid] for pod in pods]
            for worker in mine:
                worker.end(ending(worker.pod, share))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(share.seconds):
                    for worker in mine:
                        await worker.ended()
