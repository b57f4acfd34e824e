"""What this node changed on its host, recorded before it is changed, so that uninstall undoes exactly that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from minikube.settings import Settings

SHARED_DIRECTORIES = (Path("/run/netns"), Path("/run/containerd"), Path("/run/containerd/s"))
"""containerd and its shims make these for everybody on the host."""


class Changes(msgspec.Struct):
    directories: list[str] = []
    """Made by us or for us; removed when they are empty."""


class HostRecord:
    """Kept in the agent's directory. All calls block (briefly)."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.agent_dir / "host.json"
        self._shared = (
            *SHARED_DIRECTORIES,
            settings.pod_logs_dir,
            settings.kubelet_dir,
            settings.device_plugins_dir,
            settings.pod_resources_dir,
        )

    def before_start(self) -> None:
        """Note which shared directories are not there yet."""
        changes = self._read()
        missing = [str(each) for each in self._shared if not each.exists()]
        new = [each for each in missing if each not in changes.directories]
        if new:
            changes.directories += new
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(msgspec.json.encode(changes))

    def undo(self) -> None:
        remove_empty(map(Path, self._read().directories))
        self._path.unlink(missing_ok=True)

    def _read(self) -> Changes:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Changes)
        except FileNotFoundError:
            return Changes()


def remove_empty(directories: Iterable[Path]) -> None:
    """Deepest first; what somebody else uses stays."""
    for each in sorted(directories, reverse=True):
        with contextlib.suppress(OSError):
            each.rmdir()
