"""Takes the node off its host: pods, processes, mounts, namespaces, interfaces, rules, control groups, files.

First politely through the runtime, then what a killed process left is found and removed; nothing else is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from minikube.node.devices.serving import remove_sockets
from minikube.node.host.cgroups import Cgroups
from minikube.node.host.facts import HostRecord
from minikube.node.host.mounts import mounts_below, unmount
from minikube.node.host.processes import descendants, named_namespaces, with_argument
from minikube.node.network.veth import cleanup
from minikube.node.runtime.base import RuntimeFault
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.settings import Settings, SettingsError

log = logging.getLogger(__name__)
AT_ONCE = 4


async def remove_node(settings: Settings) -> None:
    """Idempotent; the agent must not run. Images and the cluster's data stay. Raises OSError."""
    uids = await asyncio.to_thread(_known_pods, settings)
    containerd = Containerd(settings)
    if settings.container_runtime_endpoint:
        uids |= await _remove_pods(settings.container_runtime_endpoint, only=uids)
    elif containerd.root.is_dir():
        with contextlib.suppress(SettingsError, RuntimeFault):
            await containerd.start()
            uids |= await _remove_pods(containerd.endpoint)
        await containerd.uninstall()
    await asyncio.to_thread(_sweep, settings, containerd)
    await cleanup(settings.agent_dir)
    await asyncio.to_thread(_remove_files, settings, uids)


def _known_pods(settings: Settings) -> set[str]:
    return {entry.name for entry in settings.pods_dir.glob("*")}


async def _remove_pods(endpoint: str, only: Iterable[str] = ()) -> set[str]:
    """Every sandbox, or those of the pods `only`; answers the pods' uids. Raises RuntimeFault."""
    runtime = CriRuntime(endpoint)
    slots = asyncio.Semaphore(AT_ONCE)
    try:
        wanted = [each for each in await runtime.sandboxes() if not only or each.pod_uid in only]

        async def remove(sandbox: str) -> None:
            async with slots:
                await runtime.stop_sandbox(sandbox)
                await runtime.remove_sandbox(sandbox)

        await asyncio.gather(*(remove(each.id) for each in wanted))
        return {each.pod_uid for each in wanted}
    finally:
        await runtime.close()


def _sweep(settings: Settings, containerd: Containerd) -> None:
    """Shims and what runs below them, sockets of shims, namespaces, mounts."""
    shims = set(with_argument(f"{containerd.run_dir}/containerd.sock"))
    everything = shims.union(*(descendants(pid) for pid in shims))
    namespaces = named_namespaces(everything)
    for pid in everything:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_gone(everything, 10)
    for address in containerd.run_dir.glob("state/io.containerd.runtime.v2.task/*/*/address"):
        Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
    for namespace in namespaces:
        unmount(namespace)
        namespace.unlink(missing_ok=True)
    ours = [*mounts_below(containerd.run_dir), *mounts_below(containerd.root), *mounts_below(settings.pods_dir)]
    for point in ours:
        if point != containerd.root:  # a disk that the administrator gave us
            unmount(point)


def _wait_gone(pids: set[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        time.sleep(0.05)


def _remove_files(settings: Settings, uids: set[str]) -> None:
    for uid in uids:
        for directory in settings.pod_logs_dir.glob(f"*_{uid}"):
            shutil.rmtree(directory, ignore_errors=True)
    cgroups = Cgroups(settings.cgroup_root)
    deadline = time.monotonic() + 5
    while not cgroups.remove(settings.cgroup_root) and time.monotonic() < deadline:
        time.sleep(0.1)
    shutil.rmtree(settings.pods_dir, ignore_errors=True)
    remove_sockets(settings)
    HostRecord(settings).undo()
    shutil.rmtree(settings.run_dir, ignore_errors=True)
