"""The files of one container's log: which there are, where reading begins, and reading through them.

Rotated files (`0.log.20060102-150405`, also .gz) are read before the current one. All of it blocks: call in a
thread.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

from minikube.node.kubelet.log_text import Block, Wanted, moment

BLOCK = 256 * 1024
HEAD = 64
"""So many bytes of a file, which begin with a time in nanoseconds, tell it from the others."""


def files_of(path: Path) -> Sequence[Path]:
    """The files of one log, oldest first."""
    found = [each for each in path.parent.glob(f"{path.name}.*") if each.suffix != ".tmp"]
    # What has just been compressed is there twice for a moment.
    rotated = {_name(each): each for each in sorted(found, reverse=True)}
    return [*(rotated[name] for name in sorted(rotated)), path]


def _name(path: Path) -> str:
    """Of a rotated file, the same before and after it is compressed."""
    return path.name.removesuffix(".gz")


def opened(path: Path) -> BinaryIO:
    """Raises OSError."""
    return cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


# ---- where reading begins --------------------------------------------------------------------------------


def start_of(files: Sequence[Path], wanted: Wanted) -> tuple[int, int]:
    """(index of the file, offset in it) where reading begins. Raises OSError."""
    start = (0, 0)
    if wanted.tail is not None:
        left = wanted.tail
        for index in range(len(files) - 1, -1, -1):
            with _opened_or_empty(files[index]) as file:
                offset, found = tail_offset(file, left)
            start = (index, offset)
            left -= found
            if left <= 0:
                break
    if wanted.since is not None:
        for index in range(len(files) - 1, -1, -1):
            with _opened_or_empty(files[index]) as file:
                first = file.readline()
                if index and not (first and _older(first, wanted.since)):
                    continue  # all of it is wanted
                return max(start, (index, since_offset(file, wanted.since)))
    return start


def tail_offset(file: BinaryIO, lines: int) -> tuple[int, int]:
    """(where the last `lines` complete lines begin, how many there are from there on)."""
    if isinstance(file, gzip.GzipFile):
        return _tail_of_stream(file, lines)
    at, ends = file.seek(0, os.SEEK_END), lines + 1
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        count = block.count(b"\n")
        if count >= ends:
            cut = len(block)
            for _ in range(ends):
                cut = block.rfind(b"\n", 0, cut)
            return at + cut + 1, lines
        ends -= count
    return 0, lines + 1 - ends


def _tail_of_stream(file: BinaryIO, lines: int) -> tuple[int, int]:
    """The same where going back costs a new beginning: once to count, once to find."""
    total = sum(block.count(b"\n") for block in _blocks(file))
    skipped, at = max(0, total - lines), 0
    for block in _blocks(file):
        count = block.count(b"\n")
        if count > skipped:
            cut = -1
            for _ in range(skipped):
                cut = block.index(b"\n", cut + 1)
            return at + cut + 1, total - max(0, total - lines)
        skipped -= count
        at += len(block)
    return at, total - max(0, total - lines)


def since_offset(file: BinaryIO, since: datetime) -> int:
    """Where the first line that is not older begins: times only rise."""
    if isinstance(file, gzip.GzipFile):
        return _since_in_stream(file, since)
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        if middle:
            file.seek(middle - 1)
            file.readline()  # the line that begins in the middle itself counts
        else:
            file.seek(0)
        start = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            high = middle
        elif _older(line, since):
            low = start + len(line)
        else:
            high = middle
    return low


def _since_in_stream(file: BinaryIO, since: datetime) -> int:
    at, rest = 0, b""
    for block in _blocks(file):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline and not _older(whole[whole.rfind(b"\n") + 1 :], since):
            return at + since_offset(io.BytesIO(whole + newline), since)
        at += len(whole) + len(newline)
    return at


def _older(line: bytes, since: datetime) -> bool:
    """What has no time counts as old."""
    try:
        return moment(line.split(b" ", 1)[0].decode()) < since
    except ValueError:
        return True


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK):
        yield block


def _opened_or_empty(path: Path) -> BinaryIO:
    """For a moment of its rotation the current file is not there."""
    try:
        return opened(path)
    except FileNotFoundError:
        return io.BytesIO()


# ---- reading ---------------------------------------------------------------------------------------------


class Reader:
    """Blocks of whole lines from a position on, through the rotated files and into the current one, which may be
    rotated meanwhile, also several times."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        """Raises OSError."""
        self._path = path
        self._file: BinaryIO = io.BytesIO()
        self._node: tuple[int, int] | None = None
        """Of the open file: device and inode."""
        self._current = False
        """Whether the open file has no name of a rotated one, as far as is known."""
        self._passed: set[str] = set()
        """Names of the rotated files up to the open one."""
        self._rest = b""
        self._begin(wanted)

    def block(self) -> Block:
        """Empty when there is nothing more for now."""
        while True:
            data = self._file.read(BLOCK)
            if not data:
                if not self._left():
                    return b""
                data = self._file.read(BLOCK)  # what came just before it was rotated
            if not data:
                self._advance()
                continue
            data = self._rest + data
            end = data.rfind(b"\n") + 1
            self._rest = data[end:]
            if end:
                return memoryview(data)[:end]

    def close(self) -> None:
        self._file.close()

    def _begin(self, wanted: Wanted) -> None:
        while True:
            *rotated, current = files = files_of(self._path)
            if not rotated and not current.exists():
                raise FileNotFoundError(current)
            index, offset = start_of(files, wanted)
            self._passed = {_name(each) for each in rotated[: index + 1]}
            if self._open(files[index]):
                self._file.seek(offset)
                return

    def _advance(self) -> None:
        """On to the file in which the log goes on."""
        while True:
            later = self._later()
            if self._open(later[0] if later else self._path):
                return

    def _open(self, path: Path) -> bool:
        """False: it was rotated or compressed just now, look again."""
        self._file.close()
        self._file, self._node, self._rest = io.BytesIO(), None, b""
        self._current = path == self._path
        try:
            self._file = opened(path)
        except FileNotFoundError:
            return self._current  # for a moment of its rotation it is not there
        self._node = _node(os.fstat(self._file.fileno()))
        if self._current:
            return not self._later()
        self._passed.add(_name(path))
        return True

    def _left(self) -> bool:
        """Whether the writer has left the open file for another."""
        try:
            now = _node(self._path.stat())
        except FileNotFoundError:
            return bool(self._later())
        return not self._current or now != self._node

    def _later(self) -> Sequence[Path]:
        """The rotated files after the open one."""
        later = [each for each in files_of(self._path)[:-1] if _name(each) not in self._passed]
        if self._current and later:
            try:
                own = self._is_open(later[0])
            except FileNotFoundError:
                return self._later()  # it has just been compressed
            if own:
                self._current = False
                self._passed.add(_name(later.pop(0)))
        return later

    def _is_open(self, rotated: Path) -> bool:
        at = self._file.tell()
        self._file.seek(0)
        own = self._file.read(HEAD)
        self._file.seek(at)
        with opened(rotated) as file:
            return file.read(HEAD) == own


def _node(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
