"""Processes that belong to one containerd, found in /proc: for when nobody answers any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def with_argument(text: str) -> Iterator[int]:
    """Processes that have `text` in their command line, ourselves excepted."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text.encode() in (entry / "cmdline").read_bytes() and int(entry.name) != os.getpid():
                yield int(entry.name)


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from descendants(child)


def named_namespaces(pids: set[int], directory: Path = Path("/run/netns")) -> set[Path]:
    """Files of the network namespaces that these processes are in; our own is never among them."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            inodes.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
    inodes.discard(os.stat("/proc/self/ns/net").st_ino)
    return {entry for entry in directory.glob("*") if entry.stat().st_ino in inodes}
