"""Container logs that have grown too large are set aside and compressed. Rules: pkg/kubelet/logs.

`0.log` becomes `0.log.20260102-030405`; at the next rotation that one is compressed, and the oldest go.
"""

from __future__ import annotations

import gzip
import os
import shutil
from datetime import datetime
from pathlib import Path

STAMP = "%Y%m%d-%H%M%S"
COMPRESSED, PARTIAL = ".gz", ".tmp"


def too_large(log: Path, limit: int) -> bool:
    try:
        return log.stat().st_size > limit
    except FileNotFoundError:
        return False


def set_aside(log: Path, *, files: int, now: datetime) -> Path:
    """Make room for a new file of that name: at most `files` remain with it. Blocking; the writer has to reopen.

    Answers where the log is now.
    """
    older = sorted(path for path in log.parent.glob(f"{log.name}.*") if path.suffix != PARTIAL)
    for path in log.parent.glob(f"{log.name}.*{PARTIAL}"):
        path.unlink()
    keep = max(0, files - 2)
    for path in older[: max(0, len(older) - keep)]:
        path.unlink()
    for path in older[max(0, len(older) - keep) :]:
        if path.suffix != COMPRESSED:
            _compress(path)
    aside = log.with_name(f"{log.name}.{now.strftime(STAMP)}")
    log.rename(aside)
    return aside


def _compress(path: Path) -> None:
    partial = path.with_name(path.name + PARTIAL)
    with path.open("rb") as source, gzip.open(partial, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    os.replace(partial, path.with_name(path.name + COMPRESSED))
    path.unlink()
