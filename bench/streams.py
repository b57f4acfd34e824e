"""Streams to a real container: the time of a command, copies both ways and a long log, with the real kubectl.

Needs root and what tools/test-deps.sh installs.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.machines import KUBECTL, Machine, Network
from tests.usage import burnt, resident

MEGABYTES = 1000
COMMANDS = 10
LINE = 100
POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: p}}
spec:
  containers:
  - {{name: c, image: "busybox:test", command: [sleep, "3600"]}}
  - name: talker
    image: busybox:test
    command: [sh, -c, "yes {"x" * (LINE - 1)} | head -c {MEGABYTES}000000; sleep 3600"]
"""

CONTEXT = """
import base64, os, re, ssl, sys, tempfile, time
config = open(os.environ["KUBECONFIG"]).read()
context = ssl._create_unverified_context()
with tempfile.NamedTemporaryFile() as both:
    for name in ("certificate", "key"):
        both.write(base64.b64decode(re.search(f"client-{name}-data: (.*)", config)[1]))
    both.flush()
    context.load_cert_chain(both.name)
"""
"""The start of both clients: `context` is the administrator's."""
GETS = """
import http.client, signal
over, times = [], []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
connection = http.client.HTTPSConnection(sys.argv[1].removeprefix("https://"), context=context)
while not over:
    began = time.perf_counter()
    connection.request("GET", "/api/v1/namespaces/default/pods/p")
    connection.getresponse().read()
    times.append((time.perf_counter() - began) * 1000)
    time.sleep(0.02)
times.sort()
print(f"GET median {times[len(times) // 2]:.1f} ms, 99 % within {times[len(times) * 99 // 100]:.0f} ms")
"""

EXECS = """
import asyncio
import aiohttp

async def main():
    url = sys.argv[1] + "/api/v1/namespaces/default/pods/p/exec?container=c&command=true&stdout=1&stderr=1"
    times = []
    async with aiohttp.ClientSession() as session:
        for _ in range(int(sys.argv[2])):
            began = time.perf_counter()
            async with session.ws_connect(url, ssl=context, protocols=["v5.channel.k8s.io"]) as stream:
                said = [message.data async for message in stream]
            times.append((time.perf_counter() - began) * 1000)
            assert b"Success" in said[-1], said
    print(f"{sorted(times)[len(times) // 2]:.0f} ms")

asyncio.run(main())
"""


async def run() -> None:
    if os.getuid() != 0:
        print("streams: skipped, it needs root")
        return
    with Network(f"t{os.getpid()}") as network:
        machine = network.machine(container_log_max_size="4Gi")
        machine.serve()
        machine.kubectl("apply", "-f", "-", stdin=POD)
        machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
        _commands(machine)
        _copies(machine)
        _logs(machine)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _commands(machine: Machine) -> None:
    for websockets in ("true", "false"):
        machine.variables["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = websockets
        times = [_timed(lambda: machine.kubectl("exec", "p", "-c", "c", "--", "true")) for _ in range(COMMANDS)]
        protocol = "WebSocket" if websockets == "true" else "SPDY"
        print(f"streams: kubectl exec true {statistics.median(times) * 1000:.0f} ms ({protocol}, median)")
    asking = [*machine.enter, sys.executable, "-c", CONTEXT + EXECS, machine.url, str(COMMANDS)]
    times_told = subprocess.run(asking, env=machine.environment, capture_output=True, text=True, check=True).stdout
    starting = _timed(lambda: machine.kubectl("version", "--client"))
    print(f"streams: the same through the API alone {times_told.strip()} (median); ", end="")
    print(f"kubectl itself starts in {starting * 1000:.0f} ms")


def _copies(machine: Machine) -> None:
    file = machine.root / "big"
    with file.open("wb") as out:
        for _ in range(MEGABYTES):
            out.write(os.urandom(1_000_000))
    up = _timed(lambda: machine.kubectl("cp", "-c", "c", str(file), "p:/big", timeout=300))
    down = _timed(lambda: machine.kubectl("cp", "-c", "c", "p:/big", str(machine.root / "back"), timeout=300))
    print(f"streams: kubectl cp {MEGABYTES} MB: {MEGABYTES / up:.0f} MB/s up, {MEGABYTES / down:.0f} MB/s down")


def _logs(machine: Machine) -> None:
    """The whole log, alone and while commands and requests are timed beside it."""
    os.sync()
    _log(machine, "alone")
    _log(machine, "with times", "--timestamps")
    over = threading.Event()
    commands: list[float] = []
    asking = threading.Thread(target=_until, args=(over, commands, lambda: _true(machine)))
    with _gets(machine) as gets:
        asking.start()
        try:
            _log(machine, "with others beside it")
        finally:
            over.set()
            asking.join()
    print(f"streams: beside it kubectl exec true median {statistics.median(commands) * 1000:.0f} ms, ", end="")
    print(f"at most {max(commands) * 1000:.0f} ms; {gets.stdout.read().strip()}" if gets.stdout else "")


def _log(machine: Machine, how: str, *flags: str) -> None:
    command = [*machine.enter, KUBECTL, "logs", "p", "-c", "talker", *flags]
    assert machine.process is not None
    burnt_before, began = burnt(machine.process.pid), time.perf_counter()
    reading = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE)
    assert reading.stdout is not None
    got, buffer = 0, bytearray(1 << 20)
    fcntl.fcntl(reading.stdout, fcntl.F_SETPIPE_SZ, len(buffer))
    while size := os.readv(reading.stdout.fileno(), [buffer]):
        got += size
    seconds = time.perf_counter() - began
    assert reading.wait() == 0
    print(
        f"streams: kubectl logs {how}: {got / 1e6:.0f} MB at {got / 1e6 / seconds:.0f} MB/s; "
        f"server {burnt(machine.process.pid) - burnt_before:.1f} s of CPU, RSS {resident(machine.process.pid)} MB"
    )


def _until(over: threading.Event, times: list[float], work: Callable[[], object]) -> None:
    while not over.is_set():
        times.append(_timed(work))
        over.wait(1)


def _true(machine: Machine) -> None:
    machine.kubectl("exec", "p", "-c", "c", "--", "true")


@contextmanager
def _gets(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """A client that gets a pod fifty times a second meanwhile, and then says how long that took."""
    command = [*machine.enter, sys.executable, "-c", CONTEXT + GETS, machine.url]
    asking = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, text=True)
    try:
        yield asking
    finally:
        asking.terminate()
        asking.wait()
