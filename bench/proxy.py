"""The service proxy with 1000 services of 5 endpoints each, in a network namespace of its own. Needs root."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from minikube.node.network.base import Backend, ServicePort
from minikube.node.network.proxy import NftProxy

SERVICES, ENDPOINTS = 1000, 5
CLONE_NEWNET = 0x40000000


async def run() -> None:
    if os.getuid() != 0:
        print("proxy: skipped, it needs root")
        return
    process = multiprocessing.get_context("spawn").Process(target=_isolated)
    process.start()
    await asyncio.to_thread(process.join)


def _isolated() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    asyncio.run(_measure())


async def _measure() -> None:
    with tempfile.TemporaryDirectory() as name:
        proxy = NftProxy("10.42.0.0/16", Path(name) / "proxy.json")
        await proxy.start()
        ports = [_port(number) for number in range(SERVICES)]
        before = _resident()
        print(
            f"proxy: {SERVICES} services x {ENDPOINTS} endpoints, from nothing {await _timed(proxy, ports):.0f} ms"
        )
        fewer = replace(ports[500], backends=ports[500].backends[1:])
        changed = [*ports[:500], fewer, *ports[501:]]
        print(f"proxy: one endpoint less {await _timed(proxy, changed):.0f} ms")
        same, grown = await _timed(proxy, changed), (_resident() - before) / 1024
        print(f"proxy: nothing changed {same:.0f} ms; RSS +{grown:.0f} MB")
        again = NftProxy("10.42.0.0/16", Path(name) / "proxy.json")
        await again.start()
        print(f"proxy: adopted by the next process {await _timed(again, changed):.0f} ms")


async def _timed(proxy: NftProxy, ports: list[ServicePort]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    await proxy.apply(ports)
    return (time.perf_counter() - began) * 1000


def _port(number: int) -> ServicePort:
    high, low = divmod(number, 250)
    backends = tuple(Backend(f"10.42.{high}.{each + 2}", 8080 + low) for each in range(ENDPOINTS))
    return ServicePort("default", f"s{number}", "http", "TCP", (f"10.43.{high}.{low + 1}",), 80, backends)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
