"""The API under load, over TLS, from a generator on the other core: the figures of docs and issues, printed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from bench.wire import Wire, client_context, connected, rate, request

PORT = 26444
PODS, WATCHERS, OBJECTS = 10_000, 1_000, 50_000
NAMESPACE = "/api/v1/namespaces/bench"
POD = {
    "metadata": {"labels": {"app": "bench"}},
    "spec": {
        "schedulerName": "nobody",
        "containers": [
            {
                "name": "c", "image": "registry.example.com/app:1", "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                "env": [{"name": f"V{number}", "value": "x" * 20} for number in range(8)],
            }
        ],
    },
}  # fmt: skip


@contextmanager
def server(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "MINIKUBE_DATA_DIR": str(root / "data"),
        "MINIKUBE_RUN_DIR": str(root / "run"),
        "MINIKUBE_WRITE_KUBECONFIG": str(root / "kubeconfig"),
        "MINIKUBE_HTTPS_LISTEN_PORT": str(PORT),
        "MINIKUBE_DISABLE_AGENT": "true",
    }
    pinned = ["taskset", "-c", "0", sys.executable, "-m", "minikube", "server"]
    process = subprocess.Popen(pinned, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def ready(root: Path) -> float:
    """Seconds until /readyz says so."""
    began = time.perf_counter()
    while True:
        try:
            (wire,) = await connected(PORT, client_context(root / "kubeconfig"), 1)
            status, _ = await asyncio.wait_for(wire.ask(request("GET", "/readyz")), 1)
            wire.close()
            if status == 200:
                return time.perf_counter() - began
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(0.02)


async def run() -> None:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        with server(root) as process:
            await ready(root)
            wires = list(await connected(PORT, client_context(root / "kubeconfig"), 32))
            await _writes(wires, process.pid)
            await _reads(wires, process.pid)
            await _fan_out(root, wires[0])
            await _big_list(wires)
            await _many(wires, process.pid)
        with server(root):
            print(f"api: start with {OBJECTS:,} objects {await ready(root):.2f} s")


class Burnt:
    """What a server process burns while the block runs: `each(n)` says it per operation."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")

    def __enter__(self) -> Burnt:
        self._before = self._seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._seconds() - self._before

    def _seconds(self) -> float:
        fields = self._stat.read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def each(self, operations: int) -> str:
        return f"{self.seconds / operations * 1e6:,.0f} µs of the server's processor each"


async def _writes(wires: list[Wire], pid: int) -> None:
    status, _ = await wires[0].ask(request("POST", "/api/v1/namespaces", b'{"metadata":{"name":"bench"}}'))
    assert status == 201
    await asyncio.sleep(1)
    body = b'{"metadata":{"name":"c%d"},"data":{"a":"b"}}'
    with Burnt(pid) as burnt:
        per_second, _ = await rate(
            wires, 3000, lambda n: request("POST", NAMESPACE + "/configmaps", body % n), expect=201
        )
    print(f"api: create ConfigMap {per_second:,.0f}/s, durable, {burnt.each(3000)}")
    with Burnt(pid) as burnt:
        per_second, _ = await rate(wires, 1000, _pod, expect=201)
    print(f"api: create Pod {per_second:,.0f}/s, durable, {burnt.each(1000)}")


def _pod(number: int) -> bytes:
    body = json.dumps({**POD, "metadata": {**POD["metadata"], "name": f"p{number}"}}).encode()
    return request("POST", NAMESPACE + "/pods", body)


async def _reads(wires: list[Wire], pid: int) -> None:
    one = request("GET", NAMESPACE + "/pods/p7")
    with Burnt(pid) as burnt:
        per_second, _ = await rate(wires[:16], 20_000, lambda n: one, expect=200)
    print(f"api: GET pod {per_second:,.0f}/s, {burnt.each(20_000)}")
    some = request("GET", NAMESPACE + "/pods")
    began = time.perf_counter()
    with Burnt(pid) as burnt:
        per_second, size = await rate(wires[:4], 100, lambda n: some, expect=200)
    speed = size / (time.perf_counter() - began) / 1e6
    each = f"{size / 100 / 1e6:.1f} MB, {burnt.each(100)}"
    print(f"api: LIST 1,000 pods {per_second:,.0f}/s, {speed:,.0f} MB/s of {each}")


async def _fan_out(root: Path, writer: Wire) -> None:
    context = client_context(root / "kubeconfig")
    arrived = asyncio.Event()
    waiting = WATCHERS

    async def watch() -> None:
        nonlocal waiting
        reader, stream = await asyncio.open_connection("127.0.0.1", PORT, ssl=context)
        stream.write(request("GET", NAMESPACE + "/secrets?watch=1"))
        await reader.readuntil(b"\r\n\r\n")
        started.release()
        await reader.readuntil(b"}\n")
        waiting -= 1
        if not waiting:
            arrived.set()
        stream.close()

    started = asyncio.Semaphore(0)
    tasks = []
    for _ in range(WATCHERS):
        tasks.append(asyncio.create_task(watch()))
        await started.acquire()
    began = time.perf_counter()
    await writer.ask(request("POST", NAMESPACE + "/secrets", b'{"metadata":{"name":"s"}}'))
    await arrived.wait()
    print(f"api: one event to {WATCHERS:,} watchers {(time.perf_counter() - began) * 1000:.0f} ms")
    await asyncio.gather(*tasks)


async def _big_list(wires: list[Wire]) -> None:
    await rate(wires, PODS - 1000, lambda n: _pod(n + 1000), expect=201)
    await asyncio.sleep(2)
    everything, one = request("GET", NAMESPACE + "/pods"), request("GET", NAMESPACE)
    await wires[0].ask(everything)
    worst = 0.0
    listing = asyncio.ensure_future(wires[0].ask(everything))
    began = time.perf_counter()
    while not listing.done():
        asked = time.perf_counter()
        await wires[1].ask(one)
        worst = max(worst, time.perf_counter() - asked)
        await asyncio.sleep(0.002)
    _, size = await listing
    took = time.perf_counter() - began
    print(
        f"api: LIST {PODS:,} pods {took * 1000:.0f} ms ({size / 1e6:.0f} MB), "
        f"other requests wait {worst * 1000:.0f} ms at most"
    )


async def _many(wires: list[Wire], pid: int) -> None:
    body = b'{"metadata":{"name":"m%d","labels":{"app":"bench"}},"data":{"a":"%s"}}'
    filler = b"x" * 500
    left = OBJECTS - PODS - 3000
    await rate(wires, left, lambda n: request("POST", NAMESPACE + "/configmaps", body % (n, filler)), expect=201)
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    print(f"api: {OBJECTS:,} objects ({PODS:,} of them pods) in {int(memory) / 1024:.0f} MB RSS")
