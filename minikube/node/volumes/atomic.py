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

DATA, NEW = "..data", "..data_tmp"


class File(msgspec.Struct, frozen=True):
    path: str
    content: bytes
    mode: int = 0o644


def write(directory: Path, files: Sequence[File], group: int | None = None) -> bool:
    """Make the directory show exactly these files; whether anything had to change."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    link = directory / DATA
    if link.is_symlink() and _same(link, files):
        return False
    old = Path(os.readlink(link)).name if link.is_symlink() else ""
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    fresh.chmod(0o755)
    for each in files:
        target = fresh / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each.content)
        if group is not None:
            os.chown(target, -1, group)
        target.chmod(each.mode | (0o440 if group is not None else 0))
    (directory / NEW).unlink(missing_ok=True)
    (directory / NEW).symlink_to(fresh.name)
    (directory / NEW).rename(link)
    tops = {each.path.split("/", 1)[0] for each in files}
    for top in tops:
        if not (directory / top).is_symlink():
            (directory / top).symlink_to(f"{DATA}/{top}")
    for shown in directory.iterdir():
        if not shown.name.startswith("..") and shown.name not in tops:
            shown.unlink()
    if old:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _same(link: Path, files: Sequence[File]) -> bool:
    try:
        there = {
            str((Path(root) / name).relative_to(link)): (Path(root) / name).read_bytes()
            for root, _, names in os.walk(f"{link}/")
            for name in names
        }
    except OSError:
        return False
    return there == {each.path: each.content for each in files}
