"""subPath: a part of a volume as a mount of its own, whatever links a container puts into the volume meanwhile.

The part is opened component by component without following links, then bound by its descriptor: what was checked is
what is mounted. Rules: pkg/volume/util/subpath (CVE-2017-1002101, CVE-2021-25741).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from minikube.node.host.mounts import MS_BIND, is_mount, mount, unmount


class Outside(OSError):
    """The sub path leads out of the volume."""


def make(root: Path, sub: str) -> None:
    """The missing directories of `sub`, with the volume's own permissions. Raises OSError."""
    mode = stat.S_IMODE(root.stat().st_mode)
    there = Path(root)
    missing: list[str] = []
    for part in Path(sub).parts:
        if missing or not os.path.lexists(there / part):
            missing.append(part)
        else:
            there = there / part
    with _opened(root, there) as start:
        descriptor = os.dup(start)
        try:
            for part in missing:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, mode, dir_fd=descriptor)
                following = os.open(part, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = following
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)


def bind(root: Path, sub: str, target: Path) -> Path:
    """Mount `sub` of the volume at `target` (made if missing); `target`. Raises OSError."""
    with _opened(root, root / sub) as part:
        if is_mount(target):
            if os.path.samestat(os.fstat(part), target.stat()):
                return target
            unmount(target)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if stat.S_ISDIR(os.fstat(part).st_mode):
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        mount(f"/proc/self/fd/{part}", target, "", MS_BIND)
    return target


@contextlib.contextmanager
def _opened(root: Path, path: Path) -> Iterator[int]:
    """A descriptor of the path, links resolved first and none followed afterwards. Raises OSError."""
    top = root.resolve(strict=True)
    real = path.resolve(strict=True)
    if real != top and top not in real.parents:
        raise Outside(f"{path} is not within {root}")
    descriptor = os.open(top, os.O_PATH | os.O_CLOEXEC)
    try:
        for part in real.relative_to(top).parts:
            following = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
            if stat.S_ISLNK(os.fstat(descriptor).st_mode):
                raise Outside(f"{path} has changed into a link")
        yield descriptor
    finally:
        os.close(descriptor)
