"""How much a volume holds, counted as `du` does: blocks in use, each file once, one file system only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

BLOCK = 512


class Usage(msgspec.Struct, frozen=True):
    used: int = 0
    """Bytes."""
    inodes: int = 0


class Measures(msgspec.Struct, frozen=True):
    """A volume and the file system that it is on; bytes and inodes."""

    used: Usage
    capacity: Usage
    available: Usage


def measures_of(path: Path, *, whole: bool) -> Measures:
    """`whole`: what is used is that of the file system, as for volumes that may be huge. Blocks. Raises OSError."""
    found = os.statvfs(path)
    size = found.f_frsize
    capacity = Usage(found.f_blocks * size, found.f_files)
    available = Usage(found.f_bavail * size, found.f_ffree)
    if not whole:
        return Measures(usage_of(path), capacity, available)
    used = Usage((found.f_blocks - found.f_bfree) * size, found.f_files - found.f_ffree)
    return Measures(used, capacity, available)


def usage_of(directory: Path) -> Usage:
    """Of a tree that may change meanwhile: what vanishes is not counted. Blocks: call it in a thread."""
    try:
        top = directory.lstat()
    except OSError:
        return Usage()
    used, seen = top.st_blocks * BLOCK, {top.st_ino}
    pending = [str(directory)]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if info.st_dev != top.st_dev or info.st_ino in seen:
                continue
            seen.add(info.st_ino)
            used += info.st_blocks * BLOCK
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
    return Usage(used, len(seen))
