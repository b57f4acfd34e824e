"""Runs startup, liveness and readiness probes of running containers, and lifecycle hooks.

A probe that overlaps a stall of our own loop is inconclusive, never a failure.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence

import aiohttp

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import HTTPGetAction, LifecycleHandler, Pod, Probe
from minikube.kit.clock import Clock
from minikube.node.runtime.base import Container, CreateFailed, Runtime, RuntimeFault

Told = Callable[[Pod, Wanted, str, str], None]
STALL = 1.0


class ProbeFailed(Exception):
    """The reason, in the words of an Unhealthy event."""


class Prober:
    """`told(pod, container, event reason or "", message)` is called when a result changes or a probe fails."""

    def __init__(self, runtime: Runtime, clock: Clock, told: Told) -> None:
        self._runtime, self._clock, self._told = runtime, clock, told
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._passing: set[tuple[str, str]] = set()
        self._failed: dict[str, str] = {}

    def keep(
        self,
        uid: str,
        running: Sequence[tuple[Wanted, Container]],
        *,
        pod: Pod | None = None,
        ips: Sequence[str] = (),
    ) -> None:
        """Probe exactly these containers of the pod from now on."""
        tasks = self._tasks.setdefault(uid, {})
        wanted_ids = {container.id for _, container in running}
        for identifier in tasks.keys() - wanted_ids:
            tasks.pop(identifier).cancel()
            self._failed.pop(identifier, None)
            self._passing -= {(identifier, "startup"), (identifier, "readiness")}
        for wanted, container in running:
            probed = wanted.startup_probe or wanted.liveness_probe or wanted.readiness_probe
            if probed is not None and pod is not None and container.id not in tasks:
                tasks[container.id] = asyncio.create_task(
                    self._watch(pod, wanted, container, ips), name=f"probes of {wanted.name}"
                )
        if not tasks:
            del self._tasks[uid]

    def passes(self, container: str, kind: str) -> bool:
        return (container, kind) in self._passing

    def failed(self, containers: Iterable[str]) -> Mapping[str, str]:
        return {each: self._failed[each] for each in containers if each in self._failed}

    async def _watch(self, pod: Pod, wanted: Wanted, container: Container, ips: Sequence[str]) -> None:
        if wanted.startup_probe is not None:
            await self._series(pod, wanted, container, ips, "startup", wanted.startup_probe)
        async with asyncio.TaskGroup() as group:
            for kind, probe in (("liveness", wanted.liveness_probe), ("readiness", wanted.readiness_probe)):
                if probe is not None:
                    group.create_task(self._series(pod, wanted, container, ips, kind, probe))

    async def _series(
        self, pod: Pod, wanted: Wanted, container: Container, ips: Sequence[str], kind: str, probe: Probe
    ) -> None:
        """Endless, but a startup series ends with success."""
        await self._clock.sleep(probe.initial_delay_seconds or 0)
        good = bad = 0
        timeout = float(probe.timeout_seconds or 1)
        while True:
            begun = self._clock.monotonic()
            problem = ""
            try:
                await self.once(pod, wanted, container.id, ips, probe, timeout)
            except ProbeFailed as error:
                problem = str(error)
            except RuntimeFault:
                problem = ""
                good -= 1
            late = self._clock.monotonic() - begun > timeout + STALL
            if not problem:
                good, bad = good + 1, 0
                if good >= (probe.success_threshold or 1) and (container.id, kind) not in self._passing:
                    self._passing.add((container.id, kind))
                    self._told(pod, wanted, "", "")
                    if kind == "startup":
                        return
            elif not late:
                good, bad = 0, bad + 1
                self._told(pod, wanted, "Unhealthy", f"{kind.capitalize()} probe failed: {problem}")
                if bad >= (probe.failure_threshold or 3):
                    if kind == "readiness":
                        self._passing.discard((container.id, kind))
                    else:
                        self._failed[container.id] = f"failed {kind} probe"
                    self._told(pod, wanted, "", "")
            await self._clock.sleep(max(0.05, (probe.period_seconds or 10) - (self._clock.monotonic() - begun)))

    async def once(
        self, pod: Pod, wanted: Wanted, container: str, ips: Sequence[str], probe: Probe, timeout: float
    ) -> None:
        """Raises ProbeFailed, or RuntimeFault when nothing can be said."""
        address = ips[0] if ips else "127.0.0.1"
        if probe.exec is not None:
            result = await self._runtime.exec_sync(container, probe.exec.command, timeout=timeout)
            if result.timed_out:
                raise ProbeFailed(
                    f"command timed out: {' '.join(probe.exec.command)!r} timed out after {timeout:g}s"
                )
            if result.exit_code != 0:
                raise ProbeFailed(result.output.decode(errors="replace"))
        elif probe.http_get is not None:
            await http_get(probe.http_get, wanted, address, timeout)
        elif probe.tcp_socket is not None:
            host = probe.tcp_socket.host or address
            await tcp(host, port_of(probe.tcp_socket.port, wanted), timeout)

    async def hook(
        self, pod: Pod, wanted: Wanted, container: str, handler: LifecycleHandler, ips: Sequence[str]
    ) -> None:
        """Raises RuntimeFault with what went wrong."""
        try:
            if handler.sleep is not None:
                await self._clock.sleep(handler.sleep.seconds)
            elif handler.exec is not None:
                result = await self._runtime.exec_sync(container, handler.exec.command, timeout=0)
                if result.exit_code != 0:
                    raise CreateFailed(
                        f"command exited with {result.exit_code}: {result.output.decode(errors='replace')}"
                    )
            elif handler.http_get is not None:
                await http_get(handler.http_get, wanted, ips[0] if ips else "127.0.0.1", 30.0)
        except ProbeFailed as error:
            raise CreateFailed(str(error)) from error


def port_of(port: int | str | None, wanted: Wanted) -> int:
    """A number, or the name of one of the container's ports. Raises ProbeFailed."""
    for each in wanted.ports:
        if each.name and each.name == port:
            return each.container_port
    try:
        return int(port or 0)
    except ValueError:
        raise ProbeFailed(f"couldn't find port: {port!r}") from None


async def tcp(host: str, port: int, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except TimeoutError:
        raise ProbeFailed(f"dial tcp {host}:{port}: i/o timeout") from None
    except OSError as error:
        raise ProbeFailed(f"dial tcp {host}:{port}: connect: {(error.strerror or str(error)).lower()}") from error


async def http_get(action: HTTPGetAction, wanted: Wanted, address: str, timeout: float) -> None:
    """2xx and 3xx are successes; certificates are not verified."""
    scheme = (action.scheme or "HTTP").lower()
    host = action.host or address
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port_of(action.port, wanted)}{path}"
    headers = {"User-Agent": "kube-probe/1.37", "Accept": "*/*"}
    headers.update({each.name: each.value for each in action.http_headers})
    insecure: ssl.SSLContext | bool = False
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.get(url, headers=headers, ssl=insecure, allow_redirects=False) as response,
        ):
            if not 200 <= response.status < 400:
                raise ProbeFailed(f"HTTP probe failed with statuscode: {response.status}")
    except TimeoutError:
        raise ProbeFailed(
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ) from None
    except (aiohttp.ClientError, OSError) as error:
        raise ProbeFailed(f'Get "{url}": {error}') from error
