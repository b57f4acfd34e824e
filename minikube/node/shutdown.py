"""Graceful node shutdown: pods end before the machine does, ordinary ones first, critical ones last.

Rules of pkg/kubelet/nodeshutdown. Where systemd runs, an inhibitor holds the shutdown back and logind tells of it;
both are asked for by the tools that come with systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Pod
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import grace_of

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

CRITICAL = 2_000_000_000
"""Pods of this priority and above (system-cluster-critical) are critical."""
SYSTEMD = Path("/run/systemd/system")
MESSAGE = "Pod was terminated in response to imminent node shutdown."
_HOLD = ("systemd-inhibit", "--what=shutdown", "--mode=delay", "--who=minikube", "--why=pods are stopped", "cat")
_FOLLOW = (
    "busctl", "monitor", "--system", "--json=short",
    "--match=type='signal',interface='org.freedesktop.login1.Manager',member='PrepareForShutdown'",
)  # fmt: skip


def endings(pods: Iterable[Pod], seconds: float, critical_seconds: float) -> Mapping[str, Ending]:
    """By uid: how each pod ends within its share of the time. Pure."""
    found = {}
    for pod in pods:
        share = critical_seconds if is_critical(pod) else max(0.0, seconds - critical_seconds)
        grace = min(grace_of(pod), share)
        found[pod.metadata.uid] = Ending("Terminated", MESSAGE, grace=grace, disruption="TerminationByKubelet")
    return found


def is_critical(pod: Pod) -> bool:
    return (pod.spec.priority or 0) >= CRITICAL


class GracefulShutdown:
    """`run` follows logind until cancelled; does nothing when no time is granted or there is no systemd."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._systemd = SYSTEMD.is_dir() and shutil.which(_HOLD[0]) is not None
        settings = agent.settings
        self._seconds = float(settings.shutdown_grace_period)
        self._critical = float(min(settings.shutdown_grace_period_critical_pods, settings.shutdown_grace_period))

    @property
    def at_stop(self) -> bool:
        """Whether pods end with the agent itself: nobody else would tell that the machine goes down."""
        return self._seconds > 0 and not self._systemd

    async def run(self) -> None:
        if self._seconds <= 0 or not self._systemd:
            await asyncio.Event().wait()
        async with _process(_HOLD, stdin=True), _process(_FOLLOW) as follower:
            assert follower.stdout is not None
            async for line in follower.stdout:
                if b'"PrepareForShutdown"' in line and b"[true]" in line:
                    await self.end_pods()
                    return
        raise OSError("logind is not to be heard any more")

    async def end_pods(self) -> None:
        """Ordinary pods first, then critical ones; returns when all have ended or the time is over."""
        agent = self._agent
        agent.shutting_down = True
        agent.reporting.soon()
        workers = list(agent.workers.values())
        how = endings((each.pod for each in workers), self._seconds, self._critical)
        for critical, share in ((False, self._seconds - self._critical), (True, self._critical)):
            mine = [each for each in workers if is_critical(each.pod) is critical]
            for each in mine:
                each.end(how[each.pod.metadata.uid])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(share):
                    for each in mine:
                        await each.ended()


@contextlib.asynccontextmanager
async def _process(command: tuple[str, ...], *, stdin: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe if stdin else null, stdout=pipe, stderr=null
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
