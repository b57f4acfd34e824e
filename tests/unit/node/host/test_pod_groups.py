"""Control groups of a node whose agent starts again."""

from __future__ import annotations

from pathlib import Path

from minikube.node.host.cgroups import Cgroups
from minikube.node.host.pod_groups import PodGroups
from minikube.settings import Settings


def test_burstable_pods_keep_their_weight_when_the_agent_starts_again(tmp_path: Path) -> None:
    tier = tmp_path / "pods/burstable"
    for directory in (tmp_path, tmp_path / "pods"):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text("cpu\n")
        (directory / "cgroup.subtree_control").write_text("cpu\n")
    tier.mkdir()
    (tmp_path / "pods/cpu.weight").write_text("1\n")
    (tier / "cpu.weight").write_text("59\n")
    groups = PodGroups(Settings(cgroup_root="/pods"))
    groups.cgroups = Cgroups("/pods", tmp_path)
    groups.start(1.0, 0)
    assert (tmp_path / "pods/cpu.weight").read_text() == "100"
    assert (tier / "cpu.weight").read_text() == "59\n"
    assert (tmp_path / "pods/besteffort").is_dir()
