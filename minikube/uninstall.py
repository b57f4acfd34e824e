"""Takes minikube off the machine: the running process, the node, the files that install.sh recorded, the data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from minikube.kit import pidfile
from minikube.node.host.facts import remove_empty
from minikube.node.host.removal import remove_node
from minikube.settings import Settings

SUPERVISOR_PID_FILE = "supervisor.pid"
RECORD = "installed"
"""In the program's own directory: one line for each file or directory that install.sh made."""
STOP_SECONDS = 20.0


async def uninstall(settings: Settings, say: Callable[[str], None], *, data: bool) -> None:
    """Everything but the data, and with `data` that too. Raises OSError."""
    installed = _installed(Path(sys.prefix))
    say("Stopping")
    _stop(settings, installed)
    say("Removing pods, interfaces and rules")
    await remove_node(settings)
    say("Removing files")
    settings.write_kubeconfig.unlink(missing_ok=True)
    for path in installed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    _forget_units(installed)
    remove_empty([settings.write_kubeconfig.parent] if installed else [])
    if data:
        shutil.rmtree(settings.data_dir, ignore_errors=True)


def _installed(prefix: Path) -> list[Path]:
    """Recorded paths; the program's own directory comes last."""
    try:
        return [Path(line) for line in (prefix / RECORD).read_text().splitlines() if line]
    except FileNotFoundError:
        return []


def _forget_units(installed: list[Path]) -> None:
    """systemd goes on showing a unit whose file is gone until it is told to look."""
    if any(path.suffix == ".service" for path in installed):
        subprocess.run(["systemctl", "daemon-reload"], check=False)


def _stop(settings: Settings, installed: list[Path]) -> None:
    for unit in installed:
        if unit.suffix == ".service" and unit.exists():
            subprocess.run(["systemctl", "disable", "--now", "--quiet", unit.name], check=False)
    pidfile.stop(settings.run_dir / SUPERVISOR_PID_FILE, STOP_SECONDS)
    pidfile.stop(settings.pid_file, STOP_SECONDS)
