"""Mounts, by system call: bind and tmpfs mounts, what is mounted where, removal that never goes through a mount."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 20
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_HARMLESS = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
UMOUNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
MOUNTINFO = Path("/proc/self/mountinfo")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    arguments = (source.encode(), os.fsencode(target), kind.encode() or None, flags, options.encode() or None)
    if _libc.mount(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def unmount(target: Path) -> None:
    """Also when it is busy: then it goes as soon as nobody uses it. Raises OSError."""
    for flags in (UMOUNT_NOFOLLOW, UMOUNT_NOFOLLOW | UMOUNT_DETACH):
        if not _libc.umount2(os.fsencode(target), flags):
            return
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOENT):
            return
        if number != errno.EBUSY:
            raise OSError(number, os.strerror(number), str(target))


def mount_tmpfs(target: Path, size: int = 0, mode: int = 0o755, group: int | None = None) -> None:
    """Never swapped where the kernel knows how (6.4); `size` in bytes, 0: the kernel's default. Raises OSError."""
    options = [f"mode={mode:o}"]
    if size:
        options.append(f"size={size}")
    if group is not None:
        options.append(f"gid={group}")
    try:
        mount("tmpfs", target, "tmpfs", 0, ",".join((*options, "noswap")))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        mount("tmpfs", target, "tmpfs", 0, ",".join(options))


def mount_image(kind: str, source: str, options: Sequence[str], target: Path) -> None:
    """The tree of an image (bind or overlay), to be read only: nothing in it can be run. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    if kind == "bind":
        mount(source, target, "", MS_BIND | MS_REC)
        mount("", target, "", MS_BIND | MS_REMOUNT | MS_HARMLESS)
    else:
        kept = ",".join(option for option in options if option != "ro")
        mount(source or kind, target, kind, MS_HARMLESS, kept)


def share(directory: Path) -> None:
    """Make the directory a mount of its own that passes mounts on in both directions (a pods directory).

    It is no peer of what it lies in, which systemd shares: each mount below would be there twice, once out of
    sight.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not is_mount(directory):
        mount(str(directory), directory, "", MS_BIND | MS_REC)
        mount("", directory, "", MS_PRIVATE | MS_REC)
    mount("", directory, "", MS_SHARED | MS_REC)


def unshare(directory: Path) -> None:
    """Undo `share`, unless something is mounted below it."""
    if mounts_below(directory) == [directory]:
        unmount(directory)


def is_mount(path: Path) -> bool:
    """Also of a bind mount within one file system, which os.path.ismount does not see."""
    return path in mounts_below(path)


def mounts_below(directory: Path) -> list[Path]:
    """Mount points at or below a directory; the last mounted come first, as they have to go."""
    found, top = [], str(directory)
    for line in MOUNTINFO.read_text().splitlines():
        target = _unescaped(line.split(" ", 5)[4])
        if target == top or target.startswith(f"{top}/"):
            found.append(Path(target))
    return found[::-1]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def unmount_below(directory: Path) -> None:
    """Everything mounted in it, not itself. Raises OSError."""
    for target in mounts_below(directory):
        if target != directory:
            unmount(target)


def remove_tree(directory: Path) -> None:
    """Delete what is in the directory and itself; refuses while anything is mounted there. Raises OSError."""
    try:
        info = os.lstat(directory)
    except FileNotFoundError:
        return
    left = mounts_below(directory)
    if left:
        raise OSError(errno.EBUSY, f"still mounted: {', '.join(map(str, left))}", str(directory))
    if stat.S_ISDIR(info.st_mode):
        shutil.rmtree(directory)
    else:
        directory.unlink()
