"""Files that change all at once: a timestamped directory behind the ..data link, user-visible links into it.

The layout of the kubelet's AtomicWriter, which applications watch for reloads.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from minikube.node.volumes.ownership import set_group

DATA, NEW = "..data", "..data_tmp"


class File(msgspec.Struct, frozen=True):
    """`path` is relative to the volume; `user` None: root's."""

    path: str
    content: bytes
    mode: int = 0o644
    user: int | None = None


def write(directory: Path, files: Sequence[File], group: int | None = None) -> bool:
    """Make the directory show exactly these files; whether anything had to change. Raises OSError."""
    link = directory / DATA
    if link.is_symlink() and _shown(link) == {each.path: each.content for each in files}:
        return False
    old = Path(os.readlink(link)).name if link.is_symlink() else ""
    fresh = _written(directory, files, group)
    (directory / NEW).unlink(missing_ok=True)
    (directory / NEW).symlink_to(fresh.name)
    (directory / NEW).rename(link)
    tops = {each.path.split("/", 1)[0] for each in files}
    for top in tops:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"{DATA}/{top}")
    for shown in directory.iterdir():
        if not shown.name.startswith("..") and shown.name not in tops and shown.is_symlink():
            shown.unlink()
        elif shown.name.startswith("..2") and shown.name not in (old, fresh.name):
            shutil.rmtree(shown, ignore_errors=True)  # left by a crash
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    if group is not None:
        os.lchown(directory, -1, group)
    return True


def _written(directory: Path, files: Sequence[File], group: int | None) -> Path:
    """A new directory beside the present one with these files in it; nothing when it can't be made."""
    fresh = Path(tempfile.mkdtemp(prefix=datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S."), dir=directory))
    try:
        _fill(fresh, files, group)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return fresh


def _fill(fresh: Path, files: Sequence[File], group: int | None) -> None:
    fresh.chmod(0o755)
    for each in files:
        target = fresh / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each.content)
        target.chmod(each.mode)
        if each.user is not None:
            os.chown(target, each.user, -1)
    if group is not None:
        set_group(fresh, group, read_only=True)


def _shown(link: Path) -> dict[str, bytes]:
    return {
        str((Path(root) / name).relative_to(link)): (Path(root) / name).read_bytes()
        for root, _, names in os.walk(f"{link}/")
        for name in names
    }
