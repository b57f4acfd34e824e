"""Runs the startup, liveness and readiness probes of running containers, each on a ticker of its own.

A failure that overlaps a stall of our own loop or a jump of the clock is inconclusive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod, Probe
from minikube.kit.clock import Clock
from minikube.node.probes.counts import Counts
from minikube.node.probes.handlers import Failed, NotTried, dial, http_get, port_of, reach
from minikube.node.probes.stalls import Stalls
from minikube.node.probes.tally import Kind, Tally
from minikube.node.runtime.base import Container, Runtime, RuntimeFault, Unavailable
from minikube.node.runtime.health import check

Counted = tuple[Pod, str, Mapping[Kind, Counts]]
"""A pod, its container's name, and what became of its probes."""
Told = Callable[[Pod, Wanted, str, str], None]
ERRED_TRIES = 3
"""maxProbeRetries: for a probe that could not be made at all."""


class Prober:
    """`told(pod, container, event reason or "", message)` is called when a result changes or a probe fails."""

    def __init__(self, runtime: Runtime, clock: Clock, told: Told) -> None:
        self._runtime, self._clock, self._told = runtime, clock, told
        self._stalls = Stalls(clock)
        self._watching: asyncio.Task[None] | None = None
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._tallies: dict[str, dict[Kind, Tally]] = {}
        self._counts: dict[str, Counted] = {}
        self._ending: set[str] = set()

    def keep(
        self,
        uid: str,
        running: Sequence[tuple[Wanted, Container]],
        *,
        pod: Pod | None = None,
        ips: Sequence[str] = (),
        proven: Mapping[str, bool] | None = None,
        ending: bool = False,
    ) -> None:
        """Probe exactly these containers of the pod from now on. `proven`: ids of containers that had started
        before this agent did, and whether they were ready. `ending`: only whether they are still ready counts
        (prober.StopLivenessAndStartup): services may need them until others are."""
        tasks = self._tasks.setdefault(uid, {})
        wanted_ids = {container.id for _, container in running}
        for identifier in tasks.keys() - wanted_ids:
            tasks.pop(identifier).cancel()
            self._tallies.pop(identifier, None)
            self._counts.pop(identifier, None)
            self._ending.discard(identifier)
        for wanted, container in running:
            if pod is None or not probes_of(wanted):
                continue
            if container.id not in tasks:
                tallies = self._tallies[container.id] = _tallies(wanted, (proven or {}).get(container.id))
                self._counts[container.id] = pod, wanted.name, {kind: Counts() for kind in tallies}
            elif not ending or container.id in self._ending:
                continue
            else:
                tasks[container.id].cancel()
            if ending:
                self._ending.add(container.id)
            watch = self._watch(pod, wanted, container, ips, self._tallies[container.id], ending=ending)
            tasks[container.id] = asyncio.create_task(watch, name=f"probes of {wanted.name}")
        if not tasks:
            del self._tasks[uid]
        self._watch_over()

    def _watch_over(self) -> None:
        """Stalls are looked for only while somebody is probed."""
        if self._tasks and self._watching is None:
            self._watching = asyncio.create_task(self._stalls.run(), name="stalls of the loop")
        elif not self._tasks and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def passes(self, container: str, kind: Kind, *, before: bool = False) -> bool:
        """`before`: what holds of a container that nobody probes yet."""
        tally = self._tallies.get(container, {}).get(kind)
        return tally.good if tally is not None else before

    def counted(self) -> Iterable[Counted]:
        """Of all containers that are probed."""
        return tuple(self._counts.values())

    def failed(self, containers: Iterable[str]) -> Mapping[str, str]:
        """Container id -> the kind of probe that wants it restarted."""
        return {
            each: kind.value
            for each in containers
            for kind, tally in self._tallies.get(each, {}).items()
            if tally.failed
        }

    async def _watch(
        self,
        pod: Pod,
        wanted: Wanted,
        container: Container,
        ips: Sequence[str],
        tallies: Mapping[Kind, Tally],
        *,
        ending: bool,
    ) -> None:
        probes = probes_of(wanted)

        async def run(kind: Kind) -> None:
            if kind in probes:
                await self._series(pod, wanted, container, ips, probes[kind], tallies[kind])

        if Kind.STARTUP in probes and not tallies[Kind.STARTUP].good:
            if ending:
                return
            await run(Kind.STARTUP)
            if tallies[Kind.STARTUP].failed:
                return
        kinds = (Kind.READINESS,) if ending else (Kind.LIVENESS, Kind.READINESS)
        await asyncio.gather(*(run(kind) for kind in kinds))

    async def _series(
        self, pod: Pod, wanted: Wanted, container: Container, ips: Sequence[str], probe: Probe, tally: Tally
    ) -> None:
        """Until a startup probe passes or a container has to be restarted; else for ever."""
        await self._clock.sleep(first_after(probe, container.started_at, self._clock.now()))
        period = float(probe.period_seconds or 10)
        while True:
            begun = self._clock.monotonic()
            outcome = await self._outcome(pod, wanted, container, ips, probe, tally.kind)
            if (counted := self._counts.get(container.id)) is not None:
                counted[2][tally.kind].add(outcome, self._clock.monotonic() - begun)
            if outcome is not None and tally.add(outcome):
                self._told(pod, wanted, "", "")
            if tally.failed or (tally.kind is Kind.STARTUP and tally.good):
                return
            await self._clock.sleep(next_after(self._clock.monotonic() - begun, period))

    async def _outcome(
        self, pod: Pod, wanted: Wanted, container: Container, ips: Sequence[str], probe: Probe, kind: Kind
    ) -> bool | None:
        """None: nothing can be concluded."""
        mark, title = self._stalls.mark(), kind.value.capitalize()
        try:
            warning = await self._tried(wanted, container.id, ips, probe)
        except Failed as error:
            if self._stalls.since(mark):
                return None
            self._told(pod, wanted, "Unhealthy", f"{title} probe failed: {error}")
            return False
        except Unavailable:
            return None
        except (RuntimeFault, NotTried) as error:
            text = f"{title} probe errored and resulted in unknown state: {error}"
            self._told(pod, wanted, "Unhealthy", text)
            return None
        if warning:
            self._told(pod, wanted, "ProbeWarning", f"{title} probe warning: {warning}")
        return True

    async def _tried(self, wanted: Wanted, container: str, ips: Sequence[str], probe: Probe) -> str:
        """Once, but again when the runtime could not even make the probe. Raises Failed, NotTried, RuntimeFault."""
        for _ in range(ERRED_TRIES - 1):
            try:
                return await self.once(wanted, container, ips, probe)
            except RuntimeFault:
                continue
        return await self.once(wanted, container, ips, probe)

    async def once(self, wanted: Wanted, container: str, ips: Sequence[str], probe: Probe) -> str:
        """A warning or "". Raises Failed, or NotTried or RuntimeFault when nothing can be said."""
        timeout = float(probe.timeout_seconds or 1)
        if probe.exec is not None:
            await self._exec(container, probe.exec.command, timeout)
        elif probe.http_get is not None:
            return await http_get(probe.http_get, wanted, reach(ips), timeout)
        elif probe.tcp_socket is not None:
            host = probe.tcp_socket.host or reach(ips)
            await dial(host, port_of(probe.tcp_socket.port, wanted), timeout)
        elif probe.grpc is not None:
            host = reach(ips)
            address = f"[{host}]:{probe.grpc.port}" if ":" in host else f"{host}:{probe.grpc.port}"
            why = await check(address, probe.grpc.service, timeout)
            if why:
                raise Failed(why)
        return ""

    async def _exec(self, container: str, command: Sequence[str], timeout: float) -> None:
        result = await self._runtime.exec_sync(container, command, timeout=timeout)
        if result.timed_out:
            raise Failed(f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
        if result.exit_code != 0:
            raise Failed(result.output.decode(errors="replace"))


def probes_of(wanted: Wanted) -> Mapping[Kind, Probe]:
    found = (
        (Kind.STARTUP, wanted.startup_probe),
        (Kind.LIVENESS, wanted.liveness_probe),
        (Kind.READINESS, wanted.readiness_probe),
    )
    return {kind: probe for kind, probe in found if probe is not None}


def _tallies(wanted: Wanted, proven: bool | None) -> dict[Kind, Tally]:
    """`proven`: it had started before; True, it was ready too."""
    tallies = {}
    for kind, probe in probes_of(wanted).items():
        before = {Kind.STARTUP: True, Kind.READINESS: proven}.get(kind) if proven is not None else None
        tallies[kind] = Tally(kind, probe, good=before)
    return tallies


def first_after(probe: Probe, started_at: datetime | None, now: datetime) -> float:
    """Seconds until the first try: initialDelaySeconds count from the start of the container."""
    delay = float(probe.initial_delay_seconds or 0)
    passed = (now - started_at).total_seconds() if started_at is not None else 0.0
    return max(0.0, min(delay, delay - passed))


def next_after(took: float, period: float) -> float:
    """Tries keep to a ticker: one that took longer than the period is followed at the next tick."""
    return period - took % period
