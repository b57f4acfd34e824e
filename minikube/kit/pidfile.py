"""A pid file that is locked while its process lives, so that a stale one is never believed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process holds the file; `pid` is its number."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} is running already")
        self.pid = pid


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the file with our pid in it. Raises AlreadyRunning, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_number(path)) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def holder(path: Path) -> int | None:
    """The living process that holds the file."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _number(path)
    except FileNotFoundError:
        pass
    return None


def stop(path: Path, seconds: float) -> None:
    """SIGTERM to the holder, SIGKILL when it still holds the file after `seconds`. Blocking."""
    deadline = time.monotonic() + seconds
    number = signal.SIGTERM
    while (pid := holder(path)) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while holder(path) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        number, deadline = signal.SIGKILL, time.monotonic() + 5


def _number(path: Path) -> int:
    return int(path.read_text().strip() or 0)
