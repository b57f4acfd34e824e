"""What a process has used, from /proc."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def burnt(pid: int) -> float:
    """Seconds of CPU."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written(pid: int) -> int:
    """Bytes."""
    return int(_field(f"/proc/{pid}/io", "write_bytes", int))


def resident(pid: int) -> int:
    """MB"""
    return int(_field(f"/proc/{pid}/status", "VmRSS", lambda text: int(text.split()[0]))) // 1024


def _field(path: str, name: str, read: Callable[[str], int]) -> int:
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines())
    return read(lines[name])
