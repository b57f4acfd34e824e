"""apps/statefulset: order, revisions, partitions, and what a broken pod holds up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, ready
from tests.conformance.workloads import (
    break_web,
    check_collection,
    check_scale,
    check_status,
    mend_web,
    observed,
    pods_of,
    wait_pods,
    web,
    workload,
)

pytestmark = pytest.mark.conformance

KIND = "apps/v1/StatefulSet"
LABELS = {"foo": "bar", "baz": "blah"}
BASIC = "StatefulSet Basic StatefulSet functionality "


def stateful(space: Space, name: str, replicas: int, **spec: object) -> Obj:
    """With its headless service, and all its pods ready."""
    space.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "test", "labels": LABELS},
            "spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"name": "http", "port": 80}]},
        }
    )
    space.create(
        workload(KIND, name, LABELS, web(LABELS), serviceName="test", replicas=replicas, **spec),
    )
    wait_pods(space, LABELS, replicas)
    return observed(space, KIND, name, replicas=replicas, readyReplicas=replicas)


def change(space: Space, name: str, value: str) -> None:
    """Another template, or a former one again."""
    env = {"containers": [{"name": "main", "env": [{"name": "VERSION", "value": value}]}]}
    space.patch(KIND, name, {"spec": {"template": {"spec": env}}}, type=STRATEGIC)


def revisions(pods: list[Obj]) -> list[str]:
    return [pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods]


def uids(pods: list[Obj]) -> list[str]:
    return [pod["metadata"]["uid"] for pod in pods]


@row(BASIC + "should perform rolling updates and roll backs of template modifications")
def test_a_template_is_rolled_out_from_the_last_pod_and_back_to_its_former_revision(space: Space):
    change_to = "2"
    first = stateful(space, "ss2", 3)["status"]
    assert first["currentRevision"] == first["updateRevision"]
    pods = pods_of(space, LABELS)
    assert revisions(pods) == [first["currentRevision"]] * 3
    for target in (change_to, None):
        break_web(space, "ss2-1")
        space.wait(lambda: not ready(space.get("v1/Pod", "ss2-1")))
        before = observed(space, KIND, "ss2", readyReplicas=2)["status"]["currentRevision"]
        if target:
            change(space, "ss2", target)
        else:
            removed = {"containers": [{"name": "main", "env": None}]}
            space.patch(KIND, "ss2", {"spec": {"template": {"spec": removed}}}, type=STRATEGIC)
        status = observed(space, KIND, "ss2")["status"]
        assert status["currentRevision"] == before != status["updateRevision"]
        if not target:
            assert status["updateRevision"] == first["updateRevision"]
        mend_web(space, "ss2-1")
        done = space.wait(
            lambda: (
                (found := space.get(KIND, "ss2")["status"])["currentRevision"] == found["updateRevision"] and found
            )
        )
        assert (done["updateRevision"], done["updatedReplicas"]) == (status["updateRevision"], 3)
        assert revisions(wait_pods(space, LABELS, 3)) == [done["updateRevision"]] * 3
    assert len(space.list("apps/v1/ControllerRevision")) == 2


@row(BASIC + "should perform canary updates and phased rolling updates of template modifications")
def test_pods_below_the_partition_keep_the_current_revision(space: Space):
    def partition(number: int) -> None:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}
        space.patch(KIND, "ss2", {"spec": {"updateStrategy": strategy}})

    def are(number: int) -> Obj:
        """From this number on the pods have the new template, and the status counts them."""
        status = space.get(KIND, "ss2")["status"]
        wanted = [old] * number + [status["updateRevision"]] * (3 - number)
        assert revisions(wait_pods(space, LABELS, 3)) == wanted
        assert status.get("updatedReplicas", 0) == 3 - number
        return status

    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    old = stateful(space, "ss2", 3, updateStrategy=strategy)["status"]["currentRevision"]
    before = uids(pods_of(space, LABELS))
    change(space, "ss2", "2")
    status = observed(space, KIND, "ss2")["status"]
    assert status["currentRevision"] == old != status["updateRevision"]
    assert uids(pods_of(space, LABELS)) == before
    partition(2)
    space.wait(lambda: are(2))
    for name in ("ss2-0", "ss2-2"):
        space.delete("v1/Pod", name)
        space.wait(lambda name=name: name in {one["metadata"]["name"] for one in wait_pods(space, LABELS, 3)})
    space.wait(lambda: are(2))
    for number in (1, 0):
        partition(number)
        status = space.wait(lambda number=number: are(number))
    space.wait(lambda: space.get(KIND, "ss2")["status"]["currentRevision"] == status["updateRevision"])


@row(BASIC + "Scaling should happen in predictable order and halt if any stateful pod is unhealthy")
def test_scaling_goes_in_order_and_halts_at_a_pod_that_is_not_ready(space: Space):
    names = ["ss-0", "ss-1", "ss-2"]
    since = space.version("v1/Pod")

    def follow(type: str, order: list[str]) -> bool:
        left = list(order)

        def next_one(found: Obj) -> bool:
            if left and found["metadata"]["name"] == left[0]:
                left.pop(0)
            return not left

        space.until("v1/Pod", next_one, since=since, type=type, labelSelector="baz=blah,foo=bar")
        return True

    with ThreadPoolExecutor(1) as beside:
        up = beside.submit(follow, "ADDED", names)
        stateful(space, "ss", 1)
        break_web(space, "ss-0")
        observed(space, KIND, "ss", readyReplicas=0)
        space.patch(KIND, "ss", {"spec": {"replicas": 3}})
        observed(space, KIND, "ss", readyReplicas=0)
        space.stays(lambda: len(pods_of(space, LABELS)) == 1, 1)
        mend_web(space, "ss-0")
        wait_pods(space, LABELS, 3)
        assert up.result()
        since = space.version("v1/Pod")
        down = beside.submit(follow, "DELETED", names[::-1])
        for name in names:
            break_web(space, name)
        observed(space, KIND, "ss", readyReplicas=0)
        space.patch(KIND, "ss", {"spec": {"replicas": 0}})
        observed(space, KIND, "ss", readyReplicas=0)
        space.stays(lambda: len(pods_of(space, LABELS)) == 3, 1)
        for name in names[::-1]:
            # The last unhealthy one goes in any case.
            space.try_kubectl("exec", name, "--", "mv", "/www/away", "/www/index.html")
        assert down.result()
    observed(space, KIND, "ss", replicas=0)


@row(BASIC + "Burst scaling should run to completion even with unhealthy pods")
def test_parallel_sets_scale_past_pods_that_are_not_ready(space: Space):
    stateful(space, "ss", 1, podManagementPolicy="Parallel")
    break_web(space, "ss-0")
    observed(space, KIND, "ss", readyReplicas=0)
    space.patch(KIND, "ss", {"spec": {"replicas": 3}})
    space.wait(lambda: len(pods_of(space, LABELS)) == 3)
    mend_web(space, "ss-0")
    wait_pods(space, LABELS, 3)
    for number in range(3):
        break_web(space, f"ss-{number}")
    observed(space, KIND, "ss", readyReplicas=0)
    space.patch(KIND, "ss", {"spec": {"replicas": 0}})
    space.wait(lambda: not pods_of(space, LABELS))
    observed(space, KIND, "ss", replicas=0)


@row(BASIC + "Should recreate evicted statefulset")
def test_a_pod_that_its_node_refuses_is_made_again(space: Space):
    node = list(space.site.nodes)[1]
    port = {"containerPort": 21017, "hostPort": 21017, "name": "conflict"}
    blocker = pod("test-pod", nodeName=node)
    blocker["spec"]["containers"][0]["ports"] = [port]
    space.run(blocker)
    pods = web(LABELS, nodeName=node)
    pods["spec"]["containers"][0]["ports"].append(port)
    since = space.version("v1/Pod")
    space.create(workload(KIND, "ss", LABELS, pods, serviceName="test", replicas=1))
    gone = space.until("v1/Pod", lambda one: True, since=since, type="DELETED", fieldSelector="metadata.name=ss-0")
    assert (gone["status"]["phase"], gone["status"]["reason"]) == ("Failed", "NodePorts")
    space.delete("v1/Pod", "test-pod", {"gracePeriodSeconds": 0})
    space.wait(lambda: space.get("v1/Pod", "ss-0")["status"]["phase"] == "Running")
    assert space.get("v1/Pod", "ss-0")["metadata"]["uid"] != gone["metadata"]["uid"]


@row(BASIC + "should have a working scale subresource")
def test_its_scale_is_read_and_written(space: Space):
    stateful(space, "ss", 1)
    check_scale(space, KIND, "ss")


@row(BASIC + "should list, patch and delete a collection of StatefulSets")
def test_a_collection_is_listed_everywhere_and_deleted(space: Space):
    stateful(space, "test-ss", 1)
    # A container that the set does not have yet, and a field that does not exist: both as upstream sends them.
    spec = {
        "TerminationGracePeriodSeconds": 1,
        "containers": [{"name": "test-ss", "image": "busybox:test", "command": ["sleep", "3600"]}],
    }
    patch = {"metadata": {"labels": {"test-ss": space.name}}, "spec": {"replicas": 2, "template": {"spec": spec}}}
    space.patch(KIND, "test-ss", patch, type=STRATEGIC)
    found = space.get(KIND, "test-ss")["spec"]
    assert (found["replicas"], len(found["template"]["spec"]["containers"])) == (2, 2)
    space.wait(lambda: space.get(KIND, "test-ss")["status"].get("updatedReplicas") == 2)
    wait_pods(space, LABELS, 2)
    check_collection(space, KIND, f"test-ss={space.name}")


@row(BASIC + "should validate Statefulset Status endpoints")
def test_its_status_is_read_and_written(space: Space):
    stateful(space, "ss", 1)
    check_status(space, KIND, "ss")
