"""The audit log: one JSON line an event, in a file that is rotated by size and forgotten by number and age.

A rotated file is named as lumberjack names it: audit-2026-11-25T09-00-00.000.log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from minikube.kit.clock import Clock

MEGABYTE = 1024 * 1024


class AuditLog:
    """`path` -: standard output. A line goes to the page cache at once, so a crash of ours loses none."""

    def __init__(self, path: str, clock: Clock, *, megabytes: int, backups: int, days: int) -> None:
        self._path = Path(path) if path != "-" else None
        self._clock = clock
        self._limit = megabytes * MEGABYTE
        self._backups = backups
        self._age = timedelta(days=days)
        self._file = sys.stdout.fileno()
        self._size = 0
        if self._path is not None:
            self._open(self._path)

    def write(self, event: Mapping[str, Any]) -> None:
        line = msgspec.json.encode(event) + b"\n"
        if self._path is not None and self._limit and self._size and self._size + len(line) > self._limit:
            self._rotate(self._path)
        os.write(self._file, line)
        self._size += len(line)

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self, path: Path) -> None:
        os.close(self._file)
        stamp = self._clock.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._open(path)
        rotated = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"), reverse=True)
        old = rotated[self._backups :] if self._backups else []
        if self._age:
            oldest = self._clock.now() - self._age
            old += [one for one in rotated if _time(one, path) < oldest and one not in old]
        for one in old:
            one.unlink(missing_ok=True)


def _time(rotated: Path, path: Path) -> datetime:
    stamp = rotated.name.removeprefix(f"{path.stem}-").removesuffix(path.suffix)
    return datetime.strptime(f"{stamp}000+0000", "%Y-%m-%dT%H-%M-%S.%f%z")
