"""Events about the node itself: what a change of its conditions is called, and word of processes that had to die
because the whole machine was out of memory. Pure but for `follow_kernel`.

Rules: pkg/kubelet/nodestatus/setters.go, kubelet_node_status.go, pkg/kubelet/oom; what the kernel says: oom_kill.c.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import NamedTuple

from minikube.api.core_v1 import Node

NAMES = {
    "Ready": ("NodeReady", "NodeNotReady"),
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
}
"""Condition -> what it is called when it comes to hold, and when it does not."""
KERNEL = Path("/dev/kmsg")
RECORD_BYTES = 8192
_KILLED = re.compile(r"oom-kill:constraint=\w+,.*,global_oom,.*\btask=(.*),pid=(\d+),uid=\d+")


class Told(NamedTuple):
    reason: str
    message: str
    warning: bool = False


STARTING = Told("Starting", "Starting kubelet.")
ENFORCED = Told("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")


def changes(before: Node, after: Node) -> Iterator[Told]:
    """What one report of the node's status says that the one before it did not."""
    name = after.metadata.name
    old = {each.type: each.status for each in before.status.conditions}
    for condition in after.status.conditions:
        if condition.type in NAMES and condition.status != old.get(condition.type):
            reason = NAMES[condition.type][condition.status != "True"]
            yield Told(reason, f"Node {name} status is now: {reason}")
    boot, former = after.status.node_info, before.status.node_info
    if boot is not None and former is not None and former.boot_id and boot.boot_id != former.boot_id:
        yield Told("Rebooted", f"Node {name} has been rebooted, boot id: {boot.boot_id}", warning=True)


def scheduling(name: str, *, was: bool, cordoned: bool) -> Told | None:
    if was == cordoned:
        return None
    reason = "NodeNotSchedulable" if cordoned else "NodeSchedulable"
    return Told(reason, f"Node {name} status is now: {reason}")


def out_of_memory(record: str) -> Told | None:
    """Of one record of the kernel's log; a container that met its own limit is not meant."""
    found = _KILLED.search(record)
    if found is None:
        return None
    return Told("SystemOOM", f"System OOM encountered, victim process: {found[1]}, pid: {found[2]}", warning=True)


async def follow_kernel(path: Path = KERNEL) -> AsyncGenerator[str]:
    """The records that the kernel logs from now on. Raises OSError where that may not be read."""
    loop = asyncio.get_running_loop()
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    readable = asyncio.Event()
    try:
        with contextlib.suppress(OSError):  # a pipe has no past
            os.lseek(file, 0, os.SEEK_END)
        loop.add_reader(file, readable.set)
        while True:
            readable.clear()
            try:
                record = os.read(file, RECORD_BYTES)
            except BlockingIOError:
                await readable.wait()
                continue
            except BrokenPipeError:  # records were overwritten before they were read
                continue
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        loop.remove_reader(file)
        os.close(file)
