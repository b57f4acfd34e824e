"""The termination message of a container: its file, or by policy the tail of its log. Blocks (briefly)."""

from __future__ import annotations

from pathlib import Path

from minikube.api.core_v1 import Container
from minikube.node.kubelet.log_text import Renderer, Wanted

POD_LIMIT, LIMIT = 12 * 1024, 4 * 1024
LOG_LIMIT, LOG_LINES = 2 * 1024, 80
FALLBACK = "FallbackToLogsOnError"
"""Limits of pkg/kubelet/container/runtime.go."""


def termination_message(file: Path, log: Path, wanted: Container, exit_code: int, containers: int) -> str:
    """`containers` of the pod share its limit."""
    limit = min(LIMIT, POD_LIMIT // max(1, containers))
    try:
        with file.open("rb") as opened:
            text = opened.read(limit).decode(errors="replace")
    except OSError:
        text = ""
    if not text and wanted.termination_message_policy == FALLBACK and exit_code != 0:
        return tail(log, min(limit, LOG_LIMIT))
    return text


def tail(log: Path, limit: int) -> str:
    """The end of what a container said, in whole lines of the log; "" if it has no log."""
    try:
        with log.open("rb") as opened:
            size = opened.seek(0, 2)
            opened.seek(max(0, size - 64 * 1024))
            content = opened.read()
    except OSError:
        return ""
    lines = content.split(b"\n")[-LOG_LINES - 1 :]
    return Renderer(Wanted()).render(b"\n".join(lines))[-limit:].decode(errors="replace")
