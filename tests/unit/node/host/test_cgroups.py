"""Control groups of pods: what they hold, where they are, and what is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from minikube.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements
from minikube.api.meta import ObjectMeta
from minikube.node.host.cgroups import (
    Cgroups,
    Group,
    burstable_group,
    evacuate,
    pod_group,
    pod_parent,
    v1_files,
    v2_files,
)


def container(name: str, *, policy: str = "", **resources: dict[str, str]) -> Container:
    return Container(name=name, resources=ResourceRequirements(**resources), restart_policy=policy)


def pod(*containers: Container, init: tuple[Container, ...] = ()) -> Pod:
    return Pod(metadata=ObjectMeta(uid="u"), spec=PodSpec(containers=containers, init_containers=init))


def test_a_pod_lies_in_the_tier_of_its_quality_of_service() -> None:
    same = {"cpu": "1", "memory": "1Gi"}
    assert pod_parent("/kubepods", pod(container("a", limits=same, requests=same))) == "/kubepods/podu"
    assert pod_parent("/kubepods", pod(container("a", requests={"cpu": "1"}))) == "/kubepods/burstable/podu"
    assert pod_parent("/kubepods", pod(container("a"))) == "/kubepods/besteffort/podu"


def test_a_pods_group_sums_its_containers() -> None:
    one = container("a", requests={"cpu": "250m"}, limits={"cpu": "500m", "memory": "64Mi"})
    two = container("b", requests={"cpu": "250m"}, limits={"cpu": "1", "memory": "64Mi"})
    assert pod_group(pod(one, two)) == Group(cpu_shares=512, cpu_quota=150_000, memory=128 << 20)


def test_one_container_without_a_limit_leaves_the_pod_unbounded() -> None:
    group = pod_group(pod(container("a", limits={"memory": "64Mi"}), container("b", requests={"cpu": "1m"})))
    assert (group.cpu_quota, group.memory, group.cpu_shares) == (0, 0, 2)


def test_an_init_container_counts_beside_the_sidecars_before_it() -> None:
    sidecar = container("s", policy="Always", requests={"cpu": "1"})
    init = container("i", requests={"cpu": "4"})
    assert pod_group(pod(container("a", requests={"cpu": "1"}), init=(sidecar, init))).cpu_shares == 5 * 1024


def test_burstable_pods_weigh_what_they_request_together() -> None:
    pods = [pod(container("a", requests={"cpu": "1500m"})), pod(container("a", requests={"memory": "1Gi"}))]
    assert burstable_group(pods) == Group(cpu_shares=1536)


def test_limits_in_the_words_of_both_versions() -> None:
    group = Group(cpu_shares=1024, cpu_quota=50_000, memory=1 << 20, pids=10)
    assert v2_files(group) == {
        "cpu.weight": "100",
        "cpu.max": "50000 100000",
        "memory.max": "1048576",
        "pids.max": "10",
    }
    assert v1_files(group)["memory"] == {"memory.limit_in_bytes": "1048576"}
    assert v1_files(Group())["cpu"]["cpu.cfs_quota_us"] == "-1"
    weights = [v2_files(Group(cpu_shares=each))["cpu.weight"] for each in (2, 102, 2048, 262_144)]
    assert weights == ["1", "17", "174", "10000"]


def test_the_unified_hierarchy_delegates_its_controllers_on_the_way_down(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "kubepods"):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text("cpu memory rdma\n")
        (directory / "cgroup.subtree_control").write_text("")
    pod_directory = tmp_path / "kubepods" / "podu"
    pod_directory.mkdir()
    (pod_directory / "memory.max").write_text("max\n")
    groups = Cgroups("/kubepods", tmp_path)
    groups.ensure("/kubepods/podu", Group(memory=4096))
    assert (pod_directory / "memory.max").read_text() == "4096"
    assert (tmp_path / "kubepods" / "cgroup.subtree_control").read_text() == "+memory"
    assert groups.pods() == {"u": "/kubepods/podu"}


def test_containers_of_version_two_die_whole_and_are_not_swapped(tmp_path: Path) -> None:
    assert Cgroups("/kubepods", tmp_path).container_settings() == {}
    (tmp_path / "kubepods").mkdir()
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    assert Cgroups("/kubepods", tmp_path).container_settings() == {"memory.oom.group": "1"}
    (tmp_path / "kubepods/memory.swap.max").write_text("max\n")
    swapless = {"memory.oom.group": "1", "memory.swap.max": "0"}
    assert Cgroups("/kubepods", tmp_path).container_settings() == swapless


@pytest.mark.node
def test_processes_that_stand_in_the_way_of_version_twos_controllers_move_into_a_leaf() -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    unified = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    if unified is None:
        pytest.skip("this kernel has no hierarchy of version 2 mounted")
    group = unified / f"minikube-test-{os.getpid()}"
    group.mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            (group / "cgroup.procs").write_text(str(process.pid))
            evacuate(group)
            assert (group / "cgroup.procs").read_text() == ""
            assert (group / "init/cgroup.procs").read_text().split() == [str(process.pid)]
        finally:
            process.kill()
            process.wait()
            (group / "init").rmdir()
            group.rmdir()


def test_version_one_has_a_directory_in_each_hierarchy_and_all_of_them_go(tmp_path: Path) -> None:
    for controller in ("cpu", "memory", "freezer"):
        (tmp_path / controller).mkdir()
    groups = Cgroups("/kubepods", tmp_path)
    groups.ensure("/kubepods/podu", Group(memory=4096))
    (tmp_path / "freezer/kubepods/podu/container").mkdir(parents=True)
    assert groups.remove("/kubepods")
    assert not list(tmp_path.rglob("kubepods"))
