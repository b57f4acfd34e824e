"""scheduling/preemption and scheduling/predicates: who goes where, who waits, and who has to go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, pod
from tests.conformance.verbs import check_verbs
from tests.conformance.workloads import condition_of, template, wait_pods, workload

pytestmark = pytest.mark.conformance

RESOURCE = "scheduling.k8s.io/foo"
PREEMPTION, PREDICATES = "SchedulerPreemption ", "SchedulerPredicates "


@pytest.fixture
def classes(space: Space) -> Iterator[dict[str, str]]:
    """Priority classes of this test: their names by p1 … p4, each of its number's priority."""
    names = {f"p{number}": f"p{number}-{space.name}" for number in range(1, 5)}
    for value, name in enumerate(names.values(), 1):
        space.create(priority_class(name, value))
    yield names
    for name in names.values():
        space.delete("scheduling.k8s.io/v1/PriorityClass", name)


def priority_class(name: str, value: int) -> Obj:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


@pytest.fixture
def nodes(space: Space) -> Iterator[list[str]]:
    """Their names; each has five of a resource."""
    names = list(space.site.nodes)
    for name in names:
        offer(space, name, "5")
    yield names
    for name in names:
        offer(space, name, None)


def offer(space: Space, node: str, amount: str | None, *, allocatable: bool = True) -> None:
    """Adds the resource to the node's capacity; what of it is allocatable is, else, said by the node itself."""
    status = {"capacity": {RESOURCE: amount}} | ({"allocatable": {RESOURCE: amount}} if allocatable else {})
    space.patch("v1/Node", node, {"status": status}, type=STRATEGIC, sub="status")
    space.wait(lambda: space.get("v1/Node", node)["status"]["allocatable"].get(RESOURCE) == amount)


def wants(name: str, amount: object = None, *, resource: str = RESOURCE, **spec: object) -> Obj:
    made = pod(name, **spec)
    if amount is not None:
        both = {resource: str(amount)}
        made["spec"]["containers"][0]["resources"] = {"requests": both, "limits": both}
    return made


def on(node: str) -> Obj:
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    term = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}


def waits(space: Space, name: str) -> str:
    """The message of the scheduler, which found no node."""
    found = space.wait(lambda: condition(one := space.get("v1/Pod", name), "PodScheduled") == "False" and one)
    assert condition_of(found, "PodScheduled")["reason"] == "Unschedulable"
    events = space.wait(lambda: [one for one in space.events(name) if one["reason"] == "FailedScheduling"])
    assert events[0]["type"] == "Warning"
    message: str = condition_of(found, "PodScheduled")["message"]
    return message


@pytest.mark.serial
@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        pytest.param("", "p4", marks=row(PREEMPTION + "validates basic preemption works")),
        pytest.param(
            "kube-system",
            "system-cluster-critical",
            marks=row(PREEMPTION + "validates lower priority pod preemption by critical pod"),
        ),
    ],
)
def test_the_pod_of_the_lowest_priority_makes_room(
    space: Space, nodes: list[str], classes: dict[str, str], namespace: str, name: str
):
    victims = []
    for index, node in enumerate(nodes):
        each = wants(f"pod{index}", 4, affinity=on(node), priorityClassName=classes["p2" if index else "p1"])
        victims.append(space.run(each))
    where = Space(space.site, space.http, namespace or space.name)
    try:
        where.run(wants("preemptor-pod", 4, priorityClassName=classes.get(name, name)))
        assert space.gone("v1/Pod", "pod0") or "deletionTimestamp" in space.get("v1/Pod", "pod0")["metadata"]
        for victim in victims[1:]:
            assert "deletionTimestamp" not in space.get("v1/Pod", victim["metadata"]["name"])["metadata"]
        assert where.get("v1/Pod", "preemptor-pod")["spec"]["nodeName"] == nodes[0]
    finally:
        where.delete("v1/Pod", "preemptor-pod", {"gracePeriodSeconds": 0})


@pytest.mark.serial
@row(PREEMPTION + "validates pod disruption condition is added to the preempted pod")
def test_a_preempted_pod_says_so(space: Space, nodes: list[str], classes: dict[str, str]):
    victim = wants("victim-pod", 1, affinity=on(nodes[0]), priorityClassName=classes["p1"])
    victim["metadata"]["finalizers"] = ["example.com/test-finalizer"]
    offer(space, nodes[0], "1")
    space.run(victim)
    space.create(wants("preemptor-pod", 1, affinity=on(nodes[0]), priorityClassName=classes["p4"]))
    going = space.wait(
        lambda: "deletionTimestamp" in (one := space.get("v1/Pod", "victim-pod"))["metadata"] and one
    )
    said = condition_of(going, "DisruptionTarget")
    assert (said["status"], said["reason"]) == ("True", "PreemptionByScheduler")
    assert said["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    space.patch("v1/Pod", "victim-pod", {"metadata": {"finalizers": None}})
    space.wait(lambda: condition(space.get("v1/Pod", "preemptor-pod"), "Ready") == "True")


@pytest.mark.serial
@row(PREEMPTION + "PreemptionExecutionPath runs ReplicaSets to verify preemption running path")
def test_no_more_pods_are_preempted_than_have_to(space: Space, nodes: list[str], classes: dict[str, str]):
    selector = {"kubernetes.io/hostname": nodes[0]}
    offer(space, nodes[0], None, allocatable=False)
    offer(space, nodes[0], "1k", allocatable=False)
    since = space.version("v1/Pod")
    for index, amount in enumerate((200, 300, 450), 1):
        labels = {"name": f"pod{index}"}
        both = {RESOURCE: str(amount)}
        pods = template(
            labels,
            container={"resources": {"requests": both, "limits": both}},
            nodeSelector=selector,
            priorityClassName=classes[f"p{index}"],
        )
        space.create(workload("apps/v1/ReplicaSet", f"rs-pod{index}", labels, pods, replicas=1))
        wait_pods(space, labels, 1)
    space.create(wants("pod4", 500, nodeSelector=selector, priorityClassName=classes["p4"]))
    space.wait(lambda: space.get("v1/Pod", "pod4")["spec"].get("nodeName") == nodes[0])
    made: list[str] = []

    def enough(one: Obj) -> bool:
        made.append(one["metadata"]["name"][:7])
        return [made.count(f"rs-pod{index}") for index in (1, 2, 3)] == [2, 2, 1]

    space.until("v1/Pod", enough, since=since, type="ADDED")
    space.stays(lambda: len(space.list("v1/Pod")) == 4, 2)
    assert condition(space.list("v1/Pod", labelSelector="name=pod3")[0], "Ready") == "True"
    for index in (1, 2, 3):
        space.delete("apps/v1/ReplicaSet", f"rs-pod{index}")


@row(
    PREEMPTION
    + "PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods"
)
def test_a_priority_class_keeps_its_value(space: Space, classes: dict[str, str]):
    kind, first, second = "scheduling.k8s.io/v1/PriorityClass", classes["p1"], classes["p2"]
    refused = space.ask("PATCH", kind, first, {"value": 10}, type=STRATEGIC).refused(422, "Invalid")
    assert refused == (
        f'PriorityClass.scheduling.k8s.io "{first}" is invalid: value: Forbidden: may not be changed in an update.'
    )
    put = {**space.get(kind, second), "value": 20}
    space.ask("PUT", kind, second, put).refused(422, "Invalid")
    space.patch(kind, first, {"description": "updated description"}, type=STRATEGIC)
    space.update({**space.get(kind, second), "description": "updated description"})
    found = {one["metadata"]["name"]: one for one in space.list(kind)}
    assert [(found[name]["value"], found[name]["description"]) for name in (first, second)] == [
        (1, "updated description"),
        (2, "updated description"),
    ]
    left = check_verbs(space, lambda name: priority_class(name, 7))
    space.delete(kind, left["metadata"]["name"])


@pytest.mark.serial
@row(PREDICATES + "validates resource limits of pods that are allowed to run")
def test_a_pod_that_wants_more_than_is_left_waits(space: Space):
    nodes = space.list("v1/Node")
    every = space.http.get("/api/v1/pods").ok()["items"]
    for index, node in enumerate(nodes):
        name = node["metadata"]["name"]
        free = millis(node["status"]["allocatable"]["cpu"]) - sum(
            requested(one)
            for one in every
            if one["spec"].get("nodeName") == name and one["status"]["phase"] not in ("Succeeded", "Failed")
        )
        space.create(wants(f"filler-{index}", f"{free * 7 // 10}m", resource="cpu", affinity=on(name)))
    for index in range(len(nodes)):
        space.wait(lambda index=index: space.get("v1/Pod", f"filler-{index}")["status"]["phase"] == "Running")
    most = max(millis(node["status"]["allocatable"]["cpu"]) for node in nodes)
    space.create(wants("additional-pod", f"{most * 5 // 10}m", resource="cpu"))
    assert waits(space, "additional-pod") == (
        "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )


def millis(cpu: str) -> int:
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def requested(found: Obj) -> int:
    containers = found["spec"]["containers"]
    return sum(millis(one.get("resources", {}).get("requests", {}).get("cpu", "0")) for one in containers)


@row(PREDICATES + "validates that NodeSelector is respected if not matching")
def test_a_pod_for_a_node_that_is_not_there_waits(space: Space):
    space.create(wants("restricted-pod", nodeSelector={"label": "nonempty"}))
    assert waits(space, "restricted-pod") == (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )


@row(PREDICATES + "validates that NodeSelector is respected if matching")
def test_a_pod_goes_to_the_node_with_its_label(space: Space):
    node, label = list(space.site.nodes)[1], f"kubernetes.io/e2e-{space.name}"
    space.patch("v1/Node", node, {"metadata": {"labels": {label: "42"}}})
    space.create(wants("with-labels", nodeSelector={label: "42"}))
    space.wait(lambda: space.get("v1/Pod", "with-labels")["status"]["phase"] != "Pending")
    assert space.get("v1/Pod", "with-labels")["spec"]["nodeName"] == node
    space.patch("v1/Node", node, {"metadata": {"labels": {label: None}}})


@row(
    PREDICATES
    + "validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP"
)
def test_a_host_port_on_all_addresses_is_taken_on_each(space: Space):
    node, address = list(space.site.nodes.items())[1]

    def with_port(name: str, **port: object) -> Obj:
        made = wants(name, affinity=on(node))
        made["spec"]["containers"][0]["ports"] = [{"containerPort": 8080, "hostPort": 54322, **port}]
        return made

    space.run(with_port("pod4", protocol="TCP"))
    space.create(with_port("pod5", protocol="TCP", hostIP=address))
    assert "1 node(s) didn't have free ports for the requested pod ports" in waits(space, "pod5")
    space.run(with_port("pod6", protocol="UDP", hostIP=address))


def test_pods_are_spread_kept_together_and_kept_apart(space: Space):
    """Beyond the suite: topology spread, affinity and anti-affinity between pods."""
    first, second = space.site.nodes
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "spread"}},
    }

    def labelled(name: str, app: str, **spec: object) -> Obj:
        made = wants(name, **spec)
        made["metadata"]["labels"] = {"app": app}
        return made

    def near(app: str) -> list[Obj]:
        return [{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]

    def node_of(name: str) -> str:
        found: str = space.wait(lambda: space.get("v1/Pod", name)["spec"].get("nodeName"))
        return found

    for index in range(4):
        space.create(labelled(f"spread-{index}", "spread", topologySpreadConstraints=[spread]))
    where = [node_of(f"spread-{index}") for index in range(4)]
    assert sorted(where) == sorted([first, first, second, second])
    space.create(labelled("anchor", "anchor", nodeName=second))
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    space.create(labelled("with", "with", affinity={"podAffinity": {required: near("anchor")}}))
    space.create(labelled("without", "without", affinity={"podAntiAffinity": {required: near("anchor")}}))
    assert (node_of("with"), node_of("without")) == (second, first)
    both = {"podAntiAffinity": {required: [*near("anchor"), *near("without")]}}
    space.create(labelled("nowhere", "nowhere", affinity=both))
    assert waits(space, "nowhere").startswith(
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. "
    )
