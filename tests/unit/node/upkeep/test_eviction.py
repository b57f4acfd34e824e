"""Who is evicted first, and in which words."""

from __future__ import annotations

from typing import Any

from minikube.api.core_v1 import Container, EmptyDirVolumeSource, Pod, PodSpec, ResourceRequirements, Volume
from minikube.api.meta import ObjectMeta
from minikube.node.upkeep.eviction import PodUsage, limited, over_limit, ranked, refused, shortage
from minikube.node.upkeep.thresholds import MEMORY, NODE_DISK, PIDS, Measure, Threshold

MIB = 1 << 20


def pod(name: str, request: str = "", limits: dict[str, str] | None = None, **spec: Any) -> Pod:
    requests = {"memory": request} if request else {}
    container = Container(name="c", resources=ResourceRequirements(requests=requests, limits=limits or {}))
    return Pod(metadata=ObjectMeta(name=name, uid=name), spec=PodSpec(containers=(container,), **spec))


def names(pods: list[Pod]) -> list[str]:
    return [each.metadata.name for each in pods]


def test_pods_above_their_request_go_first_then_lower_priority_then_the_greater_excess() -> None:
    pods = [
        pod("modest", "100Mi"),
        pod("dear", "10Mi", priority=100),
        pod("little", "10Mi"),
        pod("much", "10Mi"),
    ]
    usage = {
        name: PodUsage(memory={"c": amount * MIB})
        for name, amount in {"modest": 90, "dear": 500, "little": 20, "much": 50}.items()
    }
    assert names(ranked(pods, usage, MEMORY)) == ["much", "little", "dear", "modest"]


def test_critical_pods_stay() -> None:
    assert ranked([pod("dns", priority=2_000_000_000)], {}, MEMORY) == []


def test_processes_are_ranked_by_priority_and_number() -> None:
    usage = {"few": PodUsage(processes=2), "many": PodUsage(processes=900)}
    assert names(ranked([pod("few"), pod("many")], usage, PIDS)) == ["many", "few"]


def test_an_evicted_pod_is_told_what_was_short_and_who_used_it() -> None:
    used = PodUsage(memory={"c": 200 * MIB})
    ending = shortage(pod("p", "100Mi"), used, Threshold(MEMORY, "100Mi"), Measure(50 * MIB, 1 << 33), 0)
    assert (ending.reason, ending.grace, ending.disruption) == ("Evicted", 1.0, "TerminationByKubelet")
    assert ending.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 200Mi, request is 100Mi, has larger consumption of memory. "
    )


def test_disk_is_told_as_ephemeral_storage_and_a_soft_threshold_gives_time() -> None:
    used = PodUsage(disk={"c": 3 * MIB})
    ending = shortage(pod("p"), used, Threshold(NODE_DISK, "10%", 60.0), Measure(50 * MIB, 1000 * MIB), 30)
    assert ending.grace == 30
    assert ending.message == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 3Mi, request is 0, has larger consumption of ephemeral-storage. "
    )


def test_a_pod_over_its_own_limits() -> None:
    bounded = pod("p", limits={"ephemeral-storage": "1Mi"})
    assert limited(bounded)
    assert over_limit(bounded, PodUsage(disk={"c": MIB})) is None
    ending = over_limit(bounded, PodUsage(disk={"c": MIB + 1}))
    assert ending is not None
    assert ending.message == "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "


def test_an_empty_dir_over_its_size() -> None:
    volume = Volume(name="cache", empty_dir=EmptyDirVolumeSource(size_limit="1Mi"))
    ending = over_limit(pod("p", volumes=(volume,)), PodUsage(volumes={"cache": 2 * MIB}))
    assert ending is not None
    assert ending.message == 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". '


def test_a_node_under_pressure_takes_critical_pods_only() -> None:
    short = frozenset({"MemoryPressure"})
    ending = refused(pod("p"), short)
    assert ending is not None
    assert ending.message == "The node had condition: [MemoryPressure]. "
    assert refused(pod("p", "1Mi"), short) is None
    assert refused(pod("p", "1Mi"), frozenset({"DiskPressure"})) is not None
    assert refused(pod("p", priority=2_000_000_000), frozenset({"DiskPressure"})) is None
