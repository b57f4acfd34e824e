"""apps/replicaset and apps/rc: adoption and release, scale, status, and what quota stops."""

from __future__ import annotations

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, pod
from tests.conformance.workloads import (
    check_collection,
    check_scale,
    check_status,
    condition_of,
    observed,
    owner,
    pods_of,
    shell,
    template,
    wait_pods,
    workload,
)

pytestmark = pytest.mark.conformance

SET, RC = "apps/v1/ReplicaSet", "v1/ReplicationController"
LABELS = {"name": "sample-pod"}


def lone(labels: dict[str, str]) -> Obj:
    found = pod("lone")
    found["metadata"]["labels"] = labels
    return found


def serves(name: str) -> list[object]:
    return [
        pytest.param(SET, marks=row(f"ReplicaSet {name}")),
        pytest.param(RC, marks=row(f"ReplicationController {name}")),
    ]


@pytest.mark.parametrize("kind", serves("should serve a basic image on each replica with a public image"))
def test_each_replica_answers_through_the_proxy(space: Space, kind: str):
    command = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 9376 -h /www"
    port = {"ports": [{"containerPort": 9376}]}
    space.create(
        workload(kind, "my-hostname", LABELS, template(LABELS, *shell(command), container=port), replicas=2)
    )
    for one in wait_pods(space, LABELS, 2):
        name = one["metadata"]["name"]
        answer = space.wait(lambda name=name: space.get("v1/Pod", f"{name}:9376", sub="proxy/"))
        assert answer.decode() == name + "\n"


@row("ReplicationController should adopt matching pods on creation")
def test_a_controller_adopts_a_matching_pod(space: Space):
    space.run(lone(LABELS))
    made = space.create(workload(RC, "pod-adoption", LABELS, template(LABELS), replicas=1))
    space.wait(lambda: owner(space.get("v1/Pod", "lone")) == made["metadata"]["uid"])
    assert [one["metadata"]["name"] for one in pods_of(space, LABELS)] == ["lone"]


@row("ReplicationController should release no longer matching pods")
def test_a_controller_releases_a_pod_that_no_longer_matches(space: Space):
    made = space.create(workload(RC, "pod-release", LABELS, template(LABELS), replicas=1))
    [first] = wait_pods(space, LABELS, 1)
    name = first["metadata"]["name"]
    space.patch("v1/Pod", name, {"metadata": {"labels": {"name": "not-matching-name"}}}, type=STRATEGIC)
    space.wait(lambda: owner(space.get("v1/Pod", name)) == "")
    [second] = space.wait(lambda: pods_of(space, LABELS))
    assert owner(second) == made["metadata"]["uid"]


@row("ReplicaSet should adopt matching pods on creation and release no longer matching pods")
def test_a_set_adopts_and_releases(space: Space):
    space.run(lone(LABELS))
    made = space.create(workload(SET, "pod-adoption-release", LABELS, template(LABELS), replicas=1))
    space.wait(lambda: owner(space.get("v1/Pod", "lone")) == made["metadata"]["uid"])
    [reference] = space.get("v1/Pod", "lone")["metadata"]["ownerReferences"]
    assert (reference["blockOwnerDeletion"], reference["controller"]) == (True, True)
    space.patch("v1/Pod", "lone", {"metadata": {"labels": {"name": "not-matching-name"}}}, type=STRATEGIC)
    space.wait(lambda: "ownerReferences" not in space.get("v1/Pod", "lone")["metadata"])
    [other] = space.wait(lambda: pods_of(space, LABELS))
    assert owner(other) == made["metadata"]["uid"]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            RC,
            marks=row(
                "ReplicationController should surface a failure condition on a common issue like exceeded quota"
            ),
        ),
        SET,
    ],
)
def test_quota_that_stops_pods_is_a_condition_until_there_is_room(space: Space, kind: str):
    quota = {"metadata": {"name": "condition-test"}, "spec": {"hard": {"pods": "2"}}}
    space.create({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    space.wait(lambda: space.get("v1/ResourceQuota", "condition-test")["status"].get("hard") == {"pods": "2"})
    space.create(workload(kind, "condition-test", LABELS, template(LABELS), replicas=3))
    failed = space.wait(
        lambda: condition(found := space.get(kind, "condition-test"), "ReplicaFailure") == "True" and found
    )
    assert condition_of(failed, "ReplicaFailure")["reason"] == "FailedCreate"
    assert "is forbidden: exceeded quota: condition-test" in condition_of(failed, "ReplicaFailure")["message"]
    space.patch(kind, "condition-test", {"spec": {"replicas": 2}})
    observed(space, kind, "condition-test", replicas=2)
    space.wait(lambda: not condition(space.get(kind, "condition-test"), "ReplicaFailure"))


@row("ReplicationController should get and update a ReplicationController scale")
def test_the_scale_of_a_controller(space: Space):
    space.create(workload(RC, "e2e-rc", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    scale = space.get(RC, "e2e-rc", sub="scale")
    assert (scale["apiVersion"], scale["status"]["selector"]) == ("autoscaling/v1", "name=sample-pod")
    check_scale(space, RC, "e2e-rc")
    wait_pods(space, LABELS, 4)


@row("ReplicaSet Replicaset should have a working scale subresource")
def test_the_scale_of_a_set(space: Space):
    space.create(workload(SET, "test-rs", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    check_scale(space, SET, "test-rs")


@row("ReplicaSet Replace and Patch tests")
def test_a_set_is_scaled_patched_and_replaced(space: Space):
    space.create(workload(SET, "test-rs", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    scale = space.get(SET, "test-rs", sub="scale")
    scale["metadata"].pop("resourceVersion")
    scale["spec"]["replicas"] = 2
    space.ask("PUT", SET, "test-rs", scale, sub="scale").ok()
    wait_pods(space, LABELS, 2)
    since = space.version(SET)
    patch = {
        "metadata": {"labels": {"test-rs": "patched"}},
        "spec": {
            "replicas": 3,
            "template": {"spec": {"containers": [{"name": "main", "command": ["sleep", "1000"]}]}},
        },
    }
    space.patch(SET, "test-rs", patch, type=STRATEGIC)
    space.until(
        SET,
        lambda one: one["metadata"]["labels"]["test-rs"] == "patched" and one["status"].get("readyReplicas") == 3,
        since=since,
        labelSelector="test-rs=patched",
    )


@row("ReplicaSet should list and delete a collection of ReplicaSets")
def test_sets_are_listed_and_deleted_together(space: Space):
    labels = {**LABELS, "e2e": space.name}
    space.create(workload(SET, "test-rs", labels, template(labels), replicas=3))
    wait_pods(space, labels, 3)
    check_collection(space, SET, f"e2e={space.name}")


@row("ReplicaSet should validate Replicaset Status endpoints")
def test_the_status_of_a_set(space: Space):
    space.create(workload(SET, "test-rs", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    check_status(space, SET, "test-rs")


@row("ReplicationController should test the lifecycle of a ReplicationController")
def test_the_life_of_a_controller_as_a_watch_sees_it(space: Space):
    labels = {"test-rc-static": space.name}
    selector = f"test-rc-static={space.name}"
    since = space.version(RC)

    def seen(holds: object, type: str = "") -> Obj:
        return space.until(RC, holds, since=since, type=type, labelSelector=selector)  # type: ignore[arg-type]

    space.create(workload(RC, "rc-test", labels, template(labels), replicas=1))
    seen(lambda one: one["metadata"]["name"] == "rc-test", "ADDED")
    seen(lambda one: one["status"].get("readyReplicas") == 1)
    space.patch(RC, "rc-test", {"metadata": {"labels": {"test-rc": "patched"}}}, type=STRATEGIC)
    seen(lambda one: one["metadata"]["labels"].get("test-rc") == "patched", "MODIFIED")
    space.patch(
        RC, "rc-test", {"status": {"readyReplicas": 0, "availableReplicas": 0}}, type=STRATEGIC, sub="status"
    )
    seen(lambda one: one["status"].get("readyReplicas", 0) == 0 and one["metadata"]["labels"].get("test-rc"))
    assert space.get(RC, "rc-test", sub="status")["metadata"]["uid"]
    space.patch(RC, "rc-test", {"spec": {"replicas": 2}}, type=STRATEGIC, sub="scale")
    seen(lambda one: one["status"].get("readyReplicas") == one["status"]["replicas"] == 2)
    fresh = space.get(RC, "rc-test")
    fresh["metadata"]["labels"]["test-rc"] = "updated"
    fresh["status"] = {"replicas": 0}
    space.update(fresh)
    seen(lambda one: one["metadata"]["labels"].get("test-rc") == "updated", "MODIFIED")
    seen(lambda one: one["status"].get("readyReplicas") == 2)
    everywhere = space.http.get(f"/api/v1/replicationcontrollers?labelSelector={selector}").ok()
    assert [one["metadata"]["name"] for one in everywhere["items"]] == ["rc-test"]
    space.ask("DELETE", RC, body={"gracePeriodSeconds": 0}, query={"labelSelector": selector}).ok()
    seen(lambda one: True, "DELETED")
    space.wait(lambda: not pods_of(space, labels))
