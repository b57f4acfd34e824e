"""emptyDir: a directory on the node's disk, or one in memory with a size. Rules: pkg/volume/emptydir."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from minikube.api.core_v1 import EmptyDirVolumeSource, Pod
from minikube.api.quantity import value
from minikube.node.host.huge_pages import page_size
from minikube.node.host.mounts import is_mount, mount, mount_tmpfs
from minikube.node.volumes.ownership import set_group, wanted_mode
from minikube.node.volumes.problems import Unmet

MODE = 0o777


def memory_size(pod: Pod, source: EmptyDirVolumeSource, allocatable: Mapping[str, str]) -> int:
    """Bytes a memory-backed one may hold: the least of its limit, the pod's memory limits and what the node has."""
    sizes = [value(allocatable.get("memory"))]
    limits = [each.resources.limits.get("memory") if each.resources else None for each in pod.spec.containers]
    if limits and all(limit is not None for limit in limits):
        sizes.append(sum(value(limit) for limit in limits))
    sizes.append(value(source.size_limit))
    return min((size for size in sizes if size > 0), default=0)


def set_up(path: Path, pod: Pod, source: EmptyDirVolumeSource, size: int, group: int | None) -> None:
    """Once: what its users change later stays. Raises Unmet or OSError."""
    if source.medium == "":
        if not path.exists():
            _make(path, group)
    elif source.medium == "Memory":
        path.mkdir(parents=True, exist_ok=True)
        if not is_mount(path):
            mount_tmpfs(path, size, _mode(group), group)
    elif source.medium.startswith("HugePages"):
        path.mkdir(parents=True, exist_ok=True)
        if not is_mount(path):
            try:
                options = [f"mode={_mode(group):o}", f"pagesize={page_size(pod, source.medium)}"]
            except ValueError as error:
                raise Unmet(str(error)) from error
            options += [f"gid={group}"] if group is not None else []
            mount("nodev", path, "hugetlbfs", 0, ",".join(options))
    else:
        raise Unmet(f'unknown storage medium "{source.medium}"')


def _mode(group: int | None) -> int:
    return MODE if group is None else wanted_mode(stat.S_IFDIR | MODE)


def _make(path: Path, group: int | None) -> None:
    """All at once, so that a half-made one is never taken for one in use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    fresh.chmod(MODE)
    if group is not None:
        set_group(fresh, group)
    fresh.rename(path)
