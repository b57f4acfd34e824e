"""Measures of the node and of its pods, read from the kernel, the runtime and the volumes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from minikube.api.core_v1 import Pod
from minikube.node.container.spec import log_directory
from minikube.node.host.cgroups import Cgroups, pod_parent
from minikube.node.runtime.base import ContainerUsage
from minikube.node.upkeep import thresholds
from minikube.node.upkeep.eviction import PodUsage
from minikube.node.upkeep.thresholds import Measure
from minikube.node.volumes.usage import Usage, usage_of
from minikube.settings import Settings


def node_measures(settings: Settings) -> Mapping[str, Measure]:
    """By eviction signal. Blocking."""
    disk, inodes = filesystem(settings.agent_dir)
    image_disk, image_inodes = filesystem(settings.agent_dir / "containerd")
    return {
        thresholds.MEMORY: memory(Path("/proc/meminfo").read_text()),
        thresholds.NODE_DISK: disk,
        thresholds.NODE_INODES: inodes,
        thresholds.IMAGE_DISK: image_disk,
        thresholds.IMAGE_INODES: image_inodes,
        thresholds.PIDS: pids(
            Path("/proc/loadavg").read_text(),
            int(Path("/proc/sys/kernel/pid_max").read_text()),
            int(Path("/proc/sys/kernel/threads-max").read_text()),
        ),
    }


def memory(meminfo: str) -> Measure:
    """What is not in the working set: pages of files that are not in active use can be taken back."""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines() if ":" in line}
    available = kilobytes["MemFree"] + kilobytes["Inactive(file)"]
    return Measure(available * 1024, kilobytes["MemTotal"] * 1024)


def pids(loadavg: str, pid_max: int, threads_max: int) -> Measure:
    most = min(pid_max, threads_max)
    return Measure(most - int(loadavg.split()[3].partition("/")[2]), most)


def filesystem(path: Path) -> tuple[Measure, Measure]:
    """Bytes and inodes of the file system that `path` is, or will be, on. Blocking."""
    while not path.exists():
        path = path.parent
    found = os.statvfs(path)
    return (
        Measure(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize),
        Measure(found.f_favail, found.f_files) if found.f_files else Measure(1, 1),
    )


async def pod_usage(
    pod: Pod, containers: list[ContainerUsage], volumes: Mapping[str, Usage], settings: Settings
) -> PodUsage:
    """`containers` are those of this pod, `volumes` its volumes by name."""
    logs, processes = await asyncio.to_thread(_files_and_processes, pod, settings)
    empty = {each.name: each.empty_dir for each in pod.spec.volumes if each.empty_dir is not None}
    on_disk = {name: each for name, each in volumes.items() if name in empty and empty[name].medium != "Memory"}
    names = {each.name for each in containers} | logs.keys()
    layers = {each.name: each.writable_layer for each in containers}
    return PodUsage(
        memory={each.name: each.memory_working_set for each in containers},
        disk={name: layers.get(name, 0) + logs.get(name, Usage()).used for name in names},
        volumes={name: each.used for name, each in on_disk.items()},
        memory_volumes={name: volumes[name].used for name in volumes if name in empty and name not in on_disk},
        inodes=sum(each.writable_inodes for each in containers) + sum(each.inodes for each in on_disk.values()),
        processes=processes,
    )


def _files_and_processes(pod: Pod, settings: Settings) -> tuple[dict[str, Usage], int]:
    directory = Path(log_directory(pod, settings))
    logs = {entry.name: usage_of(entry) for entry in directory.glob("*") if entry.is_dir()}
    processes = Cgroups(settings.cgroup_root).processes(pod_parent(settings.cgroup_root, pod))
    return logs, len(processes)
