"""Who owns the files of a pod's volumes: fsGroup and the one user a pod runs as.

Rules: pkg/volume/volume_linux.go, pkg/volume/util FsUserFrom.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from minikube.api.core_v1 import Container, EphemeralContainer, Pod

READ, READ_WRITE = 0o440, 0o660
DIRECTORY = stat.S_ISGID | 0o110


def all_containers(pod: Pod) -> Sequence[Container | EphemeralContainer]:
    return (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)


def group_of(pod: Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context is not None else None


def user_of(pod: Pod) -> int | None:
    """The user that every container runs as; None when they differ or it is not said."""
    whole = pod.spec.security_context.run_as_user if pod.spec.security_context is not None else None
    users = set()
    for each in all_containers(pod):
        own = each.security_context.run_as_user if each.security_context is not None else None
        users.add(whole if own is None else own)
    return users.pop() if len(users) == 1 else None


def only_on_mismatch(pod: Pod) -> bool:
    context = pod.spec.security_context
    return context is not None and context.fs_group_change_policy == "OnRootMismatch"


def wanted_mode(mode: int, *, read_only: bool = False) -> int:
    """The permissions of a file or directory once a group is to use it; `mode` is st_mode."""
    bits = READ if read_only else READ_WRITE
    if stat.S_ISDIR(mode):
        bits |= DIRECTORY
    return stat.S_IMODE(mode) | bits


def set_group(root: Path, group: int, *, read_only: bool = False, only_on_mismatch: bool = False) -> None:
    """Give everything in the tree to the group. Symbolic links are not followed. Raises OSError."""
    info = root.lstat()
    fine = info.st_gid == group and stat.S_IMODE(info.st_mode) == wanted_mode(info.st_mode, read_only=read_only)
    if only_on_mismatch and fine:
        return
    # The root last: an interrupted run must look unfinished to OnRootMismatch.
    for directory, names, files in os.walk(root, topdown=False):
        for name in (*files, *names):
            _set_one(os.path.join(directory, name), group, read_only=read_only)
    _set_one(str(root), group, read_only=read_only)


def _set_one(path: str, group: int, *, read_only: bool) -> None:
    os.lchown(path, -1, group)
    info = os.lstat(path)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(path, wanted_mode(info.st_mode, read_only=read_only))
