"""Our own process, and those that belong to one containerd, found in /proc for when nobody answers any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

OOM_SCORE = -999
"""As the kubelet has it, and containerd that inherits it: pods go first, also Guaranteed ones (-997)."""


def spare_us(own: Path = Path("/proc/self/oom_score_adj")) -> None:
    """When memory runs out the kernel is to kill anything rather than us and what we start from now on. A pod's
    score is no lower than containerd's: without this it would be 0 at the least, for Guaranteed ones, too. Where we
    may not (a machine that is a container) it stays as it is."""
    with contextlib.suppress(OSError):
        if int(own.read_text()) > OOM_SCORE:
            own.write_text(str(OOM_SCORE))


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
