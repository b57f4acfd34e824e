"""Control groups of pods, on cgroup v1 and v2, laid out as the kubelet does it.

    <root>/pod<uid>              Guaranteed
    <root>/burstable/pod<uid>
    <root>/besteffort/pod<uid>

What a group is to hold is decided purely (`pod_group`, `node_group`); `Cgroups` writes the difference.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from minikube.api.core_v1 import Pod
from minikube.api.pod_resources import pod_limits, pod_requests
from minikube.node.host import huge_pages
from minikube.resources.qos import qos_class

FILESYSTEM = Path("/sys/fs/cgroup")
MIN_SHARES, MAX_SHARES, MAX_WEIGHT = 2, 262_144, 10_000
PERIOD, MIN_QUOTA = 100_000, 1000
V2_CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "hugetlb", "io")


class Group(msgspec.Struct, frozen=True):
    """Limits of one control group; 0 is no limit."""

    cpu_shares: int = MIN_SHARES
    cpu_quota: int = 0
    """Microseconds in each 100 ms."""
    memory: int = 0
    """Bytes."""
    pids: int = 0
    huge_pages: Mapping[str, int] = {}
    """Bytes by page size (2MB), of which 0 is none at all; a size that is not there is not limited."""


def shares(cores: float) -> int:
    return min(MAX_SHARES, max(MIN_SHARES, int(cores * 1024)))


def pod_parent(root: str, pod: Pod) -> str:
    """The control group of the pod, as containerd's cgroup_parent has it."""
    tier = {"Guaranteed": "", "Burstable": "/burstable", "BestEffort": "/besteffort"}[qos_class(pod.spec)]
    return f"{root}{tier}/pod{pod.metadata.uid}"


def pod_group(pod: Pod, *, pids: int = 0, page_sizes: Iterable[str] = ()) -> Group:
    """Quota and memory bound the pod as a whole only where every container has such a limit."""
    requests, limits = pod_requests(pod), pod_limits(pod)
    cpu = float(limits.get("cpu", 0))
    return Group(
        cpu_shares=shares(float(requests.get("cpu", 0))),
        cpu_quota=max(MIN_QUOTA, int(cpu * PERIOD)) if cpu else 0,
        memory=int(limits.get("memory", 0)),
        pids=pids,
        huge_pages=huge_pages.limits(requests, page_sizes),
    )


def burstable_group(pods: Iterable[Pod]) -> Group:
    """Burstable pods together weigh what they request; best-effort ones as little as possible."""
    return Group(cpu_shares=shares(sum(float(pod_requests(pod).get("cpu", 0)) for pod in pods)))


def v1_files(group: Group) -> Mapping[str, Mapping[str, str]]:
    """controller -> file -> content"""
    return {
        "cpu": {
            "cpu.shares": str(group.cpu_shares),
            "cpu.cfs_period_us": str(PERIOD),
            "cpu.cfs_quota_us": str(group.cpu_quota or -1),
        },
        "memory": {"memory.limit_in_bytes": str(group.memory or -1)},
        "pids": {"pids.max": str(group.pids or "max")},
        **({"hugetlb": _huge_pages(group, "limit_in_bytes")} if group.huge_pages else {}),
    }


def weight(shares: int) -> int:
    """Shares of version 1 as a weight of version 2, as upstream converts them since 1.35 (kubernetes issue 131216):
    one core's 1024 weigh about what a slice of systemd does by default, 100."""
    if shares <= MIN_SHARES:
        return 1
    if shares >= MAX_SHARES:
        return MAX_WEIGHT
    bits = math.log2(shares)
    return math.ceil(10 ** ((bits * bits + 125 * bits) / 612 - 7 / 34))


def v2_files(group: Group) -> Mapping[str, str]:
    """file -> content"""
    return {
        "cpu.weight": str(weight(group.cpu_shares)),
        "cpu.max": f"{group.cpu_quota or 'max'} {PERIOD}",
        "memory.max": str(group.memory or "max"),
        "pids.max": str(group.pids or "max"),
        **_huge_pages(group, "max"),
    }


def _huge_pages(group: Group, what: str) -> Mapping[str, str]:
    return {f"hugetlb.{size}.{what}": str(limit) for size, limit in group.huge_pages.items()}


class Cgroups:
    """The groups below one root. All calls block for microseconds (a kernel filesystem)."""

    def __init__(self, root: str, filesystem: Path = FILESYSTEM) -> None:
        self.root = root
        self.filesystem = filesystem
        self.unified = (filesystem / "cgroup.controllers").exists()

    def hierarchies(self) -> Iterator[Path]:
        """Where a group may have a directory; v1's cpu and cpu,cpuacct are often one mount with two names."""
        if self.unified:
            yield self.filesystem
            return
        seen = set()
        for entry in sorted(self.filesystem.iterdir()):
            if entry.is_dir() and (resolved := entry.resolve()) not in seen:
                seen.add(resolved)
                yield resolved

    def ensure(self, path: str, group: Group) -> None:
        """The group with these limits. Raises OSError."""
        if self.unified:
            directory = self.filesystem
            for part in Path(path.lstrip("/")).parts:
                _delegate(directory)
                directory = directory / part
                directory.mkdir(exist_ok=True)
            _write(directory, v2_files(group))
            return
        for controller, files in v1_files(group).items():
            hierarchy = self.filesystem / controller
            if hierarchy.is_dir():
                directory = hierarchy / path.lstrip("/")
                directory.mkdir(parents=True, exist_ok=True)
                _write(directory, files)

    def exists(self, path: str) -> bool:
        return any((hierarchy / path.lstrip("/")).is_dir() for hierarchy in self.hierarchies())

    def container_settings(self) -> Mapping[str, str]:
        """What every container's group of version 2 gets, as the kubelet does it: the kernel kills a container that
        meets its limit as a whole, and nothing of it is swapped."""
        if not self.unified:
            return {}
        swaps = (self.filesystem / self.root.lstrip("/") / "memory.swap.max").exists()
        return {"memory.oom.group": "1", **({"memory.swap.max": "0"} if swaps else {})}

    def remove(self, path: str) -> bool:
        """Group and groups below it, in every hierarchy; False while a process is still in one of them."""
        gone = True
        for hierarchy in self.hierarchies():
            directory = hierarchy / path.lstrip("/")
            if directory.is_dir():
                gone = _remove_tree(directory) and gone
        return gone

    def pods(self) -> dict[str, str]:
        """uid -> path of every pod group that there is."""
        found: dict[str, str] = {}
        for hierarchy in self.hierarchies():
            for tier in ("", "/burstable", "/besteffort"):
                for entry in (hierarchy / f"{self.root}{tier}".lstrip("/")).glob("pod*"):
                    found[entry.name.removeprefix("pod")] = f"{self.root}{tier}/{entry.name}"
        return found

    def processes(self, path: str) -> frozenset[int]:
        """Every process in the group or below, but those of other PID namespaces (they show as 0)."""
        found: set[int] = set()
        for hierarchy in self.hierarchies():
            for file in (hierarchy / path.lstrip("/")).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    found.update(map(int, file.read_text().split()))
        return frozenset(found - {0})


def _delegate(directory: Path) -> None:
    """Children of `directory` may use what it has itself. Processes in it stand in the way of that, as they do
    where our own machine is a container: they move into a leaf."""
    present = (directory / "cgroup.controllers").read_text().split()
    control = directory / "cgroup.subtree_control"
    enabled = control.read_text().split()
    for name in V2_CONTROLLERS:
        if name not in present or name in enabled:
            continue
        try:
            control.write_text(f"+{name}")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            evacuate(directory)
            control.write_text(f"+{name}")


def evacuate(directory: Path) -> None:
    """Move every process of a group of version 2 into its child `init`."""
    leaf = directory / "init"
    leaf.mkdir(exist_ok=True)
    for pid in (directory / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(pid)


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        file = directory / name
        if file.exists() and not _same(file.read_text(), content):
            file.write_text(content)


def _same(present: str, wanted: str) -> bool:
    present = present.strip()
    unlimited = wanted == "-1" and len(present) >= 19  # v1's memory shows no limit as a huge number of pages
    return present == wanted or unlimited


def _remove_tree(directory: Path) -> bool:
    for parent, _, _ in os.walk(directory, topdown=False):
        try:
            os.rmdir(parent)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                return False
            raise
    return True
