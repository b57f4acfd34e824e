"""In-place resize: what is allocated of what is asked, and how a container gets it."""

from __future__ import annotations

from msgspec.structs import replace

from minikube.api.core_v1 import (
    ContainerResizePolicy,
    ContainerStatus,
    Node,
    NodeStatus,
    Pod,
    PodStatus,
    ResourceRequirements,
)
from minikube.node.pod.decide import Kill, UpdateResources, decide
from minikube.node.pod.resize import (
    WHOLE,
    asked,
    judge,
    needs_restart,
    outstanding,
    remembered,
    told,
    too_small,
    with_allocation,
)
from tests.unit.node.seen import NOW, exited, pod, running, seen, wanted

NODE = Node(status=NodeStatus(allocatable={"cpu": "2", "memory": "1Gi"}))


def given(cpu: str) -> ResourceRequirements:
    return ResourceRequirements(requests={"cpu": cpu}, limits={"cpu": cpu})


def asking(cpu: str) -> Pod:
    return pod(main=(wanted(resources=given(cpu)),))


def test_what_fits_is_allocated() -> None:
    verdict = judge(asking("1500m"), {"a": given("1")}, NODE, ())
    assert (verdict.reason, verdict.allocated) == ("", {"a": given("1500m")})


def test_what_the_node_can_never_hold_is_infeasible() -> None:
    verdict = judge(asking("3"), {"a": given("1")}, NODE, ())
    assert (verdict.reason, verdict.allocated) == ("Infeasible", {"a": given("1")})
    assert verdict.message == "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"


def test_what_does_not_fit_beside_the_others_is_deferred() -> None:
    verdict = judge(asking("1500m"), {"a": given("1")}, NODE, (asking("1"),))
    assert verdict.reason == "Deferred"
    assert [(each.type, each.reason) for each in told(verdict, in_progress=False, error="")] == [
        ("PodResizePending", "Deferred")
    ]


def test_a_running_container_is_outstanding_until_it_runs_with_its_allocation() -> None:
    subject, allocated = asking("2"), {"a": given("2")}
    assert [each.id for _, each in outstanding(subject, [running()], allocated, {"a0": given("1")})] == ["a0"]
    assert list(outstanding(subject, [running()], allocated, {"a0": given("2")})) == []
    assert list(outstanding(subject, [exited(1)], allocated, {"a0": given("1")})) == []


def test_the_resize_policy_decides_between_update_and_restart() -> None:
    by_restart = wanted(
        resize_policy=(ContainerResizePolicy(resource_name="cpu", restart_policy="RestartContainer"),)
    )
    assert needs_restart(by_restart, given("1"), given("2"))
    assert not needs_restart(wanted(), given("1"), given("2"))
    assert decide(pod(), seen(running(), to_update=frozenset({"a0"})), NOW) == [UpdateResources("a0")]
    why = "Container a resize requires restart"
    ended = Kill("a0", "a", 30.0, why, followed=True)
    assert decide(pod(), seen(running(), to_restart=frozenset({"a0"})), NOW) == [ended]


def test_an_allocation_outlives_the_agent_in_the_published_status() -> None:
    told_before = ContainerStatus(
        name="a", container_id="containerd://a0", allocated_resources={"cpu": "1"}, resources=given("1")
    )
    resized = replace(asking("2"), status=PodStatus(container_statuses=(told_before,)))
    assert remembered(resized) == {"a": given("1")}
    assert remembered(asking("2")) == asked(asking("2"))


def test_the_node_accounts_for_the_allocation_not_the_wish() -> None:
    accounted = with_allocation(asking("2"), {"a": given("1")})
    assert accounted.spec.containers[0].resources == given("1")
    assert with_allocation(asking("2"), {"a": given("2")}) == asking("2")


def test_a_memory_limit_stays_above_what_is_used() -> None:
    def limited(amount: str) -> dict[str, ResourceRequirements]:
        return {"a": ResourceRequirements(limits={"memory": amount})}

    subject = pod(main=(wanted(resources=limited("100Mi")["a"]),))
    whole = "attempting to set pod memory limit (41943040) below current usage (50000000)"
    single = 'attempting to set container "a" memory limit (41943040) below current usage (50000000)'
    found = too_small(subject, limited("100Mi"), limited("40Mi"), {"a": 50_000_000})
    assert found == f"cannot decrease memory limits: [{whole}, {single}]"
    assert too_small(subject, limited("100Mi"), limited("40Mi"), {"a": 40_000_000}) == ""
    assert too_small(subject, limited("20Mi"), limited("40Mi"), {"a": 50_000_000}) == ""
    assert too_small(subject, {"a": ResourceRequirements()}, limited("40Mi"), {"a": 50_000_000}) != ""


def whole(cpu: str) -> Pod:
    """Its container asks for 500m of that."""
    subject = pod(main=(wanted(resources=given("500m")),))
    return replace(subject, spec=replace(subject.spec, resources=given(cpu)))


def test_a_pod_is_resized_as_a_whole() -> None:
    before, after = asked(whole("1")), asked(whole("1500m"))
    assert judge(whole("1500m"), before, NODE, ()).allocated == after
    assert judge(whole("3"), before, NODE, ()).reason == "Infeasible"
    assert judge(whole("1500m"), before, NODE, (asking("1"),)).reason == "Deferred"
    assert with_allocation(whole("1500m"), before) == whole("1")
    assert list(outstanding(whole("1500m"), [running()], after, {"a0": given("500m")})) == []


def test_what_a_pod_has_as_a_whole_outlives_the_agent_in_the_published_status() -> None:
    published = PodStatus(resources=given("1"), allocated_resources={"cpu": "1"})
    assert remembered(replace(whole("1500m"), status=published)) == asked(whole("1"))


def test_the_memory_limit_of_a_whole_pod_stays_above_what_is_used() -> None:
    def limited(amount: str) -> dict[str, ResourceRequirements]:
        return {WHOLE: ResourceRequirements(limits={"memory": amount})}

    subject = replace(pod(), spec=replace(pod().spec, resources=limited("100Mi")[WHOLE]))
    why = "attempting to set pod memory limit (41943040) below current usage (50000000)"
    found = too_small(subject, limited("100Mi"), limited("40Mi"), {"a": 50_000_000})
    assert found == f"cannot decrease memory limits: {why}"
    assert too_small(subject, limited("100Mi"), limited("60Mi"), {"a": 50_000_000}) == ""
