"""What node, pods and containers use, measured when somebody asks: the Summary of /stats/summary.

Rates need two looks: the second is compared with the look of an earlier question, or with one half a second ago.
Shape and names: k8s.io/kubelet/pkg/apis/stats/v1alpha1.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from minikube.api import time
from minikube.node.container.spec import log_directory
from minikube.node.host.cgroups import Cgroups, pod_parent
from minikube.node.host.pressure import Psi, pressures
from minikube.node.kubelet.volume_stats import VolumeStats
from minikube.node.runtime.base import Container, ContainerUsage, State

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.pod.worker import PodWorker

FRESH_SECONDS = 1.0
"""A look this young answers the next question too."""
STALE_SECONDS = 60.0
"""A look this old says nothing about what is used now."""
APART_SECONDS = 0.5
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

Json = dict[str, Any]


class Look(msgspec.Struct, frozen=True):
    """Counters at one moment."""

    at: datetime
    node_cpu: int
    """Nanoseconds of all cores since boot."""
    memory: Mapping[str, int]
    """/proc/meminfo in bytes."""
    containers: Mapping[str, ContainerUsage]


class Stats:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._looks: tuple[Look, Look] | None = None
        self._looking = asyncio.Lock()
        self._volumes = VolumeStats(agent)
        self._cgroups = Cgroups(agent.settings.cgroup_root)

    def machine(self) -> Mapping[str, int]:
        """Cores and bytes of memory."""
        return {"cores": os.cpu_count() or 1, "memory": self._agent.memory_capacity}

    async def looks(self) -> tuple[Look, Look]:
        """Two looks, the newer one at most a second old. Raises RuntimeFault."""
        async with self._looking:
            now = self._agent.clock.now()
            before = self._looks[1] if self._looks is not None else None
            age = (now - before.at).total_seconds() if before is not None else STALE_SECONDS
            if self._looks is not None and age < FRESH_SECONDS:
                return self._looks
            if before is None or age >= STALE_SECONDS:
                before = await self._look()
                await self._agent.clock.sleep(APART_SECONDS)
            self._looks = before, await self._look()
            return self._looks

    async def _look(self) -> Look:
        usages = await self._agent.runtime.usage()
        cpu, memory = await asyncio.to_thread(lambda: (node_cpu(), meminfo()))
        return Look(self._agent.clock.now(), cpu, memory, {each.container: each for each in usages})

    async def summary(self, *, volumes: bool = False) -> Json:
        """`volumes`: with what they hold, which takes longer. Raises RuntimeFault."""
        before, now = await self.looks()
        pods = []
        for worker in list(self._agent.workers.values()):
            logs = Path(log_directory(worker.pod, self._agent.settings))
            sizes = await asyncio.to_thread(_sizes, logs)
            wired = self._agent.network.attachment(worker.pod.metadata.uid)
            interface = wired.interface if wired is not None else ""
            network = await asyncio.to_thread(traffic, interface, outside=True) if interface else None
            found = pod_stats(worker, before, now, sizes, network)
            group = pod_parent(self._agent.settings.cgroup_root, worker.pod)
            await asyncio.to_thread(self._add_pressures, found, worker, group, now.at)
            if volumes:
                found["volume"] = await self._volumes.of(worker.pod)
                found["ephemeral-storage"]["usedBytes"] += sum(
                    each["usedBytes"] for each in found["volume"] if "pvcRef" not in each
                )
            pods.append(found)
        node = node_stats(self._agent.node_name, before, now, self._agent.memory_capacity)
        node["fs"] = await asyncio.to_thread(filesystem, self._agent.settings.data_dir, now.at)
        node["runtime"] = {"imageFs": node["fs"], "containerFs": node["fs"]}
        if (outward := await asyncio.to_thread(default_interface)) and (seen := traffic(outward, outside=False)):
            node["network"] = {
                "time": time.text(now.at), "name": outward, **seen, "interfaces": [{"name": outward, **seen}]
            }  # fmt: skip
        node["rlimit"] = await asyncio.to_thread(process_limit, now.at)
        add_pressure(node, await asyncio.to_thread(pressures, self._cgroups, "/"), now.at)
        return {"node": node, "pods": pods}

    def _add_pressures(self, pod: Json, worker: PodWorker, group: str, at: datetime) -> None:
        """Blocking."""
        add_pressure(pod, pressures(self._cgroups, group), at)
        running = {each.name: each.id for each in worker.observed.containers if each.state is State.RUNNING}
        for each in pod["containers"]:
            if each["name"] in running:
                add_pressure(each, pressures(self._cgroups, f"{group}/{running[each['name']]}"), at)


# ---- pure ------------------------------------------------------------------------------------------------


def rate(before: int, now: int, seconds: float) -> int:
    """Nanocores; a counter that began again counts from zero."""
    return int(max(0, now - before if now >= before else now) / seconds) if seconds > 0 else 0


def cpu_stats(at: datetime, total: int, nanocores: int) -> Json:
    return {"time": time.text(at), "usageNanoCores": nanocores, "usageCoreNanoSeconds": total}


def container_stats(run: Container, usage: ContainerUsage, before: ContainerUsage | None, log_bytes: int) -> Json:
    """A container younger than the earlier look is measured from its start."""
    since, counted = (before.at, before.cpu_nanoseconds) if before is not None else (run.started_at, 0)
    seconds = (usage.at - since).total_seconds() if since is not None else 0
    at = time.text(usage.at)
    return {
        "name": run.name,
        "startTime": time.text(run.started_at) if run.started_at else None,
        "cpu": cpu_stats(usage.at, usage.cpu_nanoseconds, rate(counted, usage.cpu_nanoseconds, seconds)),
        "memory": {
            "time": at,
            "usageBytes": usage.memory_usage,
            "workingSetBytes": usage.memory_working_set,
            "rssBytes": usage.memory_rss,
        },
        "rootfs": {"time": at, "usedBytes": usage.writable_layer, "inodesUsed": usage.writable_inodes},
        "logs": {"time": at, "usedBytes": log_bytes},
    }


def pod_stats(
    worker: PodWorker, before: Look, now: Look, logs: Mapping[str, int], network: Mapping[str, int] | None
) -> Json:
    """A pod is the sum of its running containers."""
    meta = worker.pod.metadata
    containers = [
        container_stats(each, now.containers[each.id], before.containers.get(each.id), logs.get(each.name, 0))
        for each in worker.observed.containers
        if each.state is State.RUNNING and each.id in now.containers
    ]
    at = time.text(now.at)
    out: Json = {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": time.text(worker.pod.status.start_time) if worker.pod.status.start_time else None,
        "containers": containers,
        "cpu": {"time": at, **_sums(containers, "cpu")},
        "memory": {"time": at, **_sums(containers, "memory")},
        "ephemeral-storage": {
            "time": at,
            "usedBytes": sum(each["rootfs"]["usedBytes"] for each in containers) + sum(logs.values()),
        },
    }
    if network is not None:
        out["network"] = {"time": at, "name": "eth0", **network, "interfaces": [{"name": "eth0", **network}]}
    return out


def add_pressure(stats: Json, found: Mapping[str, Psi], at: datetime) -> None:
    """To the stats of a node, pod or container."""
    for name, psi in found.items():
        stats.setdefault(name, {"time": time.text(at)})["psi"] = psi


def _sums(containers: Sequence[Json], what: str) -> Json:
    names = dict.fromkeys(name for each in containers for name in each[what] if name != "time")
    return {name: sum(each[what][name] for each in containers) for name in names}


def node_stats(name: str, before: Look, now: Look, capacity: int) -> Json:
    seconds = (now.at - before.at).total_seconds()
    memory = now.memory
    # rateWindowSeconds is ours: the time that usageNanoCores is the mean of.
    usage = memory.get("MemTotal", capacity) - memory.get("MemFree", 0)
    working = max(0, usage - memory.get("Inactive(file)", 0))
    return {
        "nodeName": name,
        "rateWindowSeconds": seconds,
        "cpu": cpu_stats(now.at, now.node_cpu, rate(before.node_cpu, now.node_cpu, seconds)),
        "memory": {
            "time": time.text(now.at),
            "availableBytes": max(0, capacity - working),
            "usageBytes": usage,
            "workingSetBytes": working,
            "rssBytes": memory.get("AnonPages", 0),
        },
    }


# ---- what the kernel says (blocks for microseconds) ------------------------------------------------------


def node_cpu(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Nanoseconds that all cores have worked, from the root control group (v1, v2), else from /proc/stat."""
    try:
        return int((cgroups / "cpuacct/cpuacct.usage").read_text())
    except OSError:
        pass
    try:
        for line in (cgroups / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec "):
                return int(line.split()[1]) * 1000
    except OSError:
        pass
    user, nice, system, _, _, irq, soft = (int(word) for word in (proc / "stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) * TICK


def meminfo(proc: Path = Path("/proc")) -> Mapping[str, int]:
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


def traffic(interface: str, *, outside: bool, root: Path = Path("/sys/class/net")) -> Mapping[str, int] | None:
    """Counters of an interface; with `outside` it is the far end of a veth pair: what it received was sent."""
    names = {"rxBytes": "rx_bytes", "rxErrors": "rx_errors", "txBytes": "tx_bytes", "txErrors": "tx_errors"}
    try:
        found = {
            ours: int((root / interface / "statistics" / theirs).read_text()) for ours, theirs in names.items()
        }
    except OSError:
        return None
    if outside:
        found = {("tx" if name[0] == "r" else "rx") + name[2:]: value for name, value in found.items()}
    return found


def default_interface(proc: Path = Path("/proc")) -> str:
    """The one that the default route leaves by; "" without one."""
    for line in (proc / "net/route").read_text().splitlines()[1:]:
        name, destination, *_ = line.split()
        if destination == "00000000":
            return name
    return ""


def filesystem(path: Path, at: datetime) -> Json:
    found = os.statvfs(path)
    size = found.f_frsize
    return {
        "time": time.text(at),
        "availableBytes": found.f_bavail * size,
        "capacityBytes": found.f_blocks * size,
        "usedBytes": (found.f_blocks - found.f_bfree) * size,
        "inodesFree": found.f_ffree,
        "inodes": found.f_files,
        "inodesUsed": found.f_files - found.f_ffree,
    }


def process_limit(at: datetime, proc: Path = Path("/proc")) -> Json:
    running = (proc / "loadavg").read_text().split()[3]
    return {
        "time": time.text(at),
        "maxpid": int((proc / "sys/kernel/pid_max").read_text()),
        "curproc": int(running.partition("/")[2]),
    }


def _sizes(logs: Path) -> Mapping[str, int]:
    """Bytes of log files by container."""
    try:
        return {
            each.name: sum(file.stat().st_size for file in each.iterdir() if file.is_file())
            for each in logs.iterdir()
            if each.is_dir()
        }
    except OSError:
        return {}
