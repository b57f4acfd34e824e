"""Whether a path of the node is what a hostPath volume says. Rules and words: pkg/volume/hostpath."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from minikube.node.volumes.problems import Unmet

KINDS = {
    "Directory": "directory",
    "File": "file",
    "Socket": "socket file",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}


def kind_of(path: Path) -> str:
    """Links are followed; empty for what hostPath has no name for. Raises OSError."""
    mode = path.stat().st_mode
    for kind, holds in (
        ("Directory", stat.S_ISDIR),
        ("File", stat.S_ISREG),
        ("Socket", stat.S_ISSOCK),
        ("CharDevice", stat.S_ISCHR),
        ("BlockDevice", stat.S_ISBLK),
    ):
        if holds(mode):
            return kind
    return ""


def check(path: Path, kind: str) -> None:
    """Makes what `…OrCreate` asks for. Raises Unmet."""
    if not kind:
        return
    wanted = kind.removesuffix("OrCreate")
    if wanted != kind and not path.exists():
        _make(path, wanted)
        return
    if not path.exists():
        raise Unmet(f"hostPath {path} doesn't exist")
    found = kind_of(path)
    if found != wanted:
        what = KINDS.get(wanted, wanted)
        raise Unmet(f"hostPath type check failed: {path} is not a {what}, it's a {found}")


def _make(path: Path, kind: str) -> None:
    try:
        if kind == "Directory":
            path.mkdir(parents=True, exist_ok=True, mode=0o755)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise Unmet(f"{error.strerror.lower() if error.strerror else error}: {path}") from error
