"""systemd-logind, which tells before a machine goes down and waits for those who asked it to: for a while that it
bounds itself. Asked by the tools that come with systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

SYSTEMD = Path("/run/systemd/system")
OVERRIDE = Path("/run/systemd/logind.conf.d/99-minikube.conf")
"""Gone with the next boot."""
NAME, OBJECT, MANAGER = "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"
BUS = "org.freedesktop.DBus"
_HOLD = ("systemd-inhibit", "--what=shutdown", "--mode=delay", "--who=minikube", "--why=pods are stopped", "cat")
_FOLLOW = (
    "busctl", "monitor", "--system", "--json=short",
    f"--match=type='signal',interface='{MANAGER}',member='PrepareForShutdown'",
)  # fmt: skip
RELOADS, RELOAD_PAUSE = 50, 0.1


class NoLogind(OSError):
    """It is not there, or does not answer."""


def runs() -> bool:
    """Whether systemd looks after this machine, and its tools are here."""
    return SYSTEMD.is_dir() and shutil.which(_HOLD[0]) is not None and shutil.which(_FOLLOW[0]) is not None


async def delay() -> float:
    """Seconds for which it lets a shutdown be held back. Raises NoLogind."""
    answer = await _busctl("get-property", NAME, OBJECT, MANAGER, "InhibitDelayMaxUSec")
    return int(answer.split()[1]) / 1e6


async def allow(seconds: float) -> None:
    """Have it wait that long at least, until the next boot. Raises NoLogind."""
    if await delay() >= seconds:
        return
    await asyncio.to_thread(_override, seconds)
    pid = (
        await _busctl("call", BUS, "/org/freedesktop/DBus", BUS, "GetConnectionUnixProcessID", "s", NAME)
    ).split()
    os.kill(int(pid[1]), signal.SIGHUP)
    for _ in range(RELOADS):
        if await delay() >= seconds:
            return
        await asyncio.sleep(RELOAD_PAUSE)
    raise NoLogind(f"logind holds a shutdown back for {await delay():g} s at most, not for {seconds:g} s")


def _override(seconds: float) -> None:
    OVERRIDE.parent.mkdir(parents=True, exist_ok=True)
    OVERRIDE.write_text(f"[Login]\nInhibitDelayMaxSec={int(seconds)}\n")


@contextlib.asynccontextmanager
async def held() -> AsyncIterator[None]:
    """While this lasts a shutdown waits, for `delay` at most."""
    async with _process(_HOLD, stdin=True):
        yield


@contextlib.asynccontextmanager
async def shutdowns() -> AsyncIterator[AsyncIterator[bool]]:
    """What it tells from now on, and without end: True, the machine goes down; False, it does not after all."""
    async with _process(_FOLLOW) as process:
        assert process.stderr is not None
        await process.stderr.readline()  # it says that it has begun to listen
        yield _told(process)


async def _told(process: asyncio.subprocess.Process) -> AsyncIterator[bool]:
    """Raises NoLogind when the bus is gone."""
    assert process.stdout is not None
    async for line in process.stdout:
        if b'"PrepareForShutdown"' in line:
            yield b"[true]" in line
    raise NoLogind("logind is not to be heard any more")


async def _busctl(*arguments: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("busctl", "--system", *arguments, stdout=pipe, stderr=pipe)
    answer, complaint = await process.communicate()
    if process.returncode:
        raise NoLogind(f"logind does not answer: {complaint.decode(errors='replace').strip()}")
    return answer.decode()


@contextlib.asynccontextmanager
async def _process(command: tuple[str, ...], *, stdin: bool = False) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe if stdin else null, stdout=pipe, stderr=null if stdin else pipe
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
