"""node/* and architecture/*: nodes, leases, pod templates and runtime classes as API objects; taints that evict."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, pod
from tests.conformance.verbs import check_discovery, check_verbs
from tests.conformance.workloads import template

pytestmark = pytest.mark.conformance

NODE, CLASS, TEMPLATE = "v1/Node", "node.k8s.io/v1/RuntimeClass", "v1/PodTemplate"
TAINT = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}


@row("Conformance Tests should have at least two untainted nodes")
def test_two_nodes_take_pods(space: Space):
    free = [
        node
        for node in space.list(NODE)
        if condition(node, "Ready") == "True"
        and not node["spec"].get("unschedulable")
        and not node["spec"].get("taints")
    ]
    assert len(free) >= 2


@pytest.mark.serial
@row("Node Lifecycle should run through the lifecycle of a node")
def test_a_node_that_nobody_runs_is_an_object_like_others(space: Space):
    name = f"e2e-fake-node-{space.name}"
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "MadeUp",
        "message": "Set from an e2e test",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    made = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"e2e-fake": space.name}},
        "spec": {"unschedulable": True},
        "status": {
            "phase": "Running",
            "capacity": {"cpu": "1", "memory": "1Gi", "pods": "10"},
            "allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"},
            "conditions": [ready],
        },
    }
    created = space.create(made)
    assert created["status"]["capacity"]["pods"] == "10"
    assert space.get(NODE, name)["metadata"]["uid"] == created["metadata"]["uid"]
    space.patch(NODE, name, {"metadata": {"labels": {"e2e": "patched"}}}, type=STRATEGIC)
    [found] = space.list(NODE, labelSelector=f"e2e=patched,e2e-fake={space.name}")
    assert found["metadata"]["name"] == name

    def put() -> Obj:
        fresh = space.get(NODE, name)
        fresh["metadata"]["labels"]["e2e"] = "updated"
        return space.update(fresh)

    assert space.wait(put)["metadata"]["labels"]["e2e"] == "updated"
    space.delete(NODE, name)
    space.wait(lambda: space.gone(NODE, name))


def evictable(name: str, seconds: int | None) -> Obj:
    toleration = {"key": TAINT["key"], "operator": "Equal", "value": TAINT["value"], "effect": "NoExecute"}
    tolerated = {**toleration, **({} if seconds is None else {"tolerationSeconds": seconds})}
    made = pod(name, tolerations=[tolerated])
    made["metadata"]["labels"] = {"group": "taint-eviction"}
    return made


@pytest.mark.serial
@row("NoExecuteTaintManager Multiple Pods evicts pods with minTolerationSeconds")
def test_pods_go_from_a_tainted_node_when_their_time_is_over(space: Space):
    node = list(space.site.nodes)[1]
    for name, seconds in (("one", 1), ("two", 3)):
        space.run({**evictable(name, seconds), "spec": {**evictable(name, seconds)["spec"], "nodeName": node}})
    since = space.version("v1/Pod")
    kubectl_taint(space, node, "")
    try:
        times = []
        for name in ("one", "two"):
            space.until(
                "v1/Pod", lambda one, name=name: one["metadata"]["name"] == name, since=since, type="DELETED"
            )
            event = space.wait(
                lambda name=name: [one for one in space.events(name) if one["reason"] == "TaintManagerEviction"]
            )[0]
            assert event["message"] == f"Marking for deletion Pod {space.name}/{name}"
            times.append(datetime.fromisoformat(event["firstTimestamp"]))
        assert next(later - earlier for earlier, later in itertools.pairwise(times)).total_seconds() >= 1
    finally:
        kubectl_taint(space, node, "-")


def kubectl_taint(space: Space, node: str, minus: str) -> None:
    space.kubectl("taint", "nodes", node, f"{TAINT['key']}={TAINT['value']}:{TAINT['effect']}{minus}")


@pytest.mark.serial
@row("NoExecuteTaintManager Single Pod removing taint cancels eviction")
def test_a_taint_taken_away_in_time_lets_the_pod_stay(space: Space):
    node = list(space.site.nodes)[1]
    made = evictable("taint-eviction-4", 3)
    made["spec"]["nodeName"] = node
    space.run(made)
    kubectl_taint(space, node, "")
    try:
        space.stays(lambda: "deletionTimestamp" not in space.get("v1/Pod", "taint-eviction-4")["metadata"], 0.5)
    finally:
        kubectl_taint(space, node, "-")
    space.stays(lambda: "deletionTimestamp" not in space.get("v1/Pod", "taint-eviction-4")["metadata"], 4)
    events = space.wait(
        lambda: [one for one in space.events("taint-eviction-4") if one["reason"] == "TaintManagerEviction"]
    )
    assert events[-1]["message"] == f"Cancelling deletion of Pod {space.name}/taint-eviction-4"


@row("Lease lease API should be available")
def test_all_verbs_of_leases(space: Space):
    spec = {
        "holderIdentity": "holder",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.123456Z",
        "leaseTransitions": 0,
    }

    def lease(name: str) -> Obj:
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}

    kind = "coordination.k8s.io/v1/Lease"
    left = check_verbs(space, lease, lambda one: one["spec"].update(holderIdentity="holder2"))
    assert left["spec"] == spec
    name = left["metadata"]["name"]
    changed = {"holderIdentity": "holder3", "leaseDurationSeconds": 60, "leaseTransitions": 2}
    assert space.update({**left, "spec": {**spec, **changed}})["spec"] == {**spec, **changed}
    patched = space.patch(kind, name, {"spec": {"leaseDurationSeconds": 50}}, type=STRATEGIC)
    assert patched["spec"] == {**spec, **changed, "leaseDurationSeconds": 50}


def pod_template(name: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": name},
        "template": template({"pod": "of-template"}),
    }


@row(
    "PodTemplates should run the lifecycle of PodTemplates",
    "PodTemplates should delete a collection of pod templates",
)
def test_all_verbs_of_pod_templates(space: Space):
    check_verbs(space, pod_template)


@row("PodTemplates should replace a pod template")
def test_a_pod_template_is_put(space: Space):
    space.create(pod_template("template"))
    fresh = space.get(TEMPLATE, "template")
    fresh["metadata"]["annotations"] = {"updated": "true"}
    fresh["template"]["spec"]["containers"][0]["command"] = ["sleep", "1"]
    put = space.update(fresh)
    assert put["metadata"]["annotations"] == {"updated": "true"}
    assert put["template"]["spec"]["containers"][0]["command"] == ["sleep", "1"]


def runtime_class(name: str, **fields: object) -> Obj:
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": "test-handler",
        **fields,
    }


@row("RuntimeClass should support RuntimeClasses API operations")
def test_all_verbs_of_runtime_classes(space: Space):
    check_discovery(space, "node.k8s.io", "v1", "runtimeclasses")
    left = check_verbs(space, lambda name: runtime_class(name))
    space.delete(CLASS, left["metadata"]["name"])


@row("RuntimeClass should reject a Pod requesting a non-existent RuntimeClass")
def test_a_class_that_does_not_exist(space: Space):
    refused = space.ask("POST", "v1/Pod", body=pod("x", runtimeClassName="nonexistent")).refused(403, "Forbidden")
    assert refused == 'pods "x" is forbidden: pod rejected: RuntimeClass "nonexistent" not found'


@row("RuntimeClass should reject a Pod requesting a deleted RuntimeClass")
def test_a_class_that_is_gone(space: Space):
    name = f"gone-{space.name}"
    space.create(runtime_class(name))
    space.create(pod("before", runtimeClassName=name))
    space.delete(CLASS, name)
    space.wait(lambda: space.gone(CLASS, name))
    space.ask("POST", "v1/Pod", body=pod("x", runtimeClassName=name)).refused(403, "Forbidden")


@pytest.mark.parametrize(
    "overhead",
    [
        pytest.param(
            {}, marks=row("RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead")
        ),
        pytest.param(
            {"cpu": "10m", "memory": "1Mi"},
            marks=row("RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead"),
        ),
    ],
)
def test_a_pod_of_a_class_is_scheduled_with_its_overhead(space: Space, overhead: Obj):
    name = f"class-{space.name}"
    space.create(runtime_class(name, **({"overhead": {"podFixed": overhead}} if overhead else {})))
    made = space.create(pod("x", runtimeClassName=name))
    assert made["spec"].get("overhead", {}) == overhead
    space.wait(lambda: condition(space.get("v1/Pod", "x"), "PodScheduled") == "True")
    space.delete(CLASS, name)
