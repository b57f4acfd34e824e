"""How long tasks of a control group stood still for want of something: pressure stall information, on cgroup v2.

Files: Documentation/accounting/psi.rst of the kernel. Shape: PSIStats of k8s.io/kubelet/pkg/apis/stats/v1alpha1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minikube.node.host.cgroups import Cgroups

RESOURCES = ("cpu", "memory", "io")

Psi = Mapping[str, Mapping[str, float]]
"""some, full -> avg10, avg60, avg300 (percent), total (microseconds)"""


def pressures(cgroups: Cgroups, path: str) -> Mapping[str, Psi]:
    """By resource; what the kernel does not tell is left out. Blocking."""
    if not cgroups.unified:
        return {}
    directory = cgroups.filesystem / path.lstrip("/")
    found = {name: _read(directory / f"{name}.pressure") for name in RESOURCES}
    return {name: each for name, each in found.items() if each}


def parsed(text: str) -> Psi:
    found: dict[str, Mapping[str, float]] = {}
    for line in text.splitlines():
        kind, *fields = line.split()
        pairs = (field.partition("=") for field in fields)
        found[kind] = {key: int(value) if key == "total" else float(value) for key, _, value in pairs}
    return found


def _read(file: Path) -> Psi:
    try:
        return parsed(file.read_text())
    except OSError:  # the group is gone, or the kernel was told not to keep account (psi=0)
        return {}
