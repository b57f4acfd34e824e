"""api-machinery/gc: what goes with its owner, what stays, and when."""

from __future__ import annotations

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, pod

pytestmark = pytest.mark.conformance
PODS = 10


def template(label: str) -> Obj:
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "3600"]}
    return {
        "metadata": {"labels": {"app": label}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def controller(space: Space, name: str, replicas: int = PODS) -> Obj:
    """A replication controller whose pods are all there."""
    spec = {"replicas": replicas, "selector": {"app": name}, "template": template(name)}
    made = space.create(
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": spec}
    )
    space.wait(lambda: space.get("v1/ReplicationController", name)["status"].get("replicas", 0) == replicas)
    return made


def deployment(space: Space, name: str) -> Obj:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template(name)}
    made = space.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
    space.wait(lambda: space.list("apps/v1/ReplicaSet"))
    return made


def delete(space: Space, kind: str, made: Obj, policy: str) -> None:
    body = {"propagationPolicy": policy, "preconditions": {"uid": made["metadata"]["uid"]}}
    space.delete(kind, made["metadata"]["name"], body)


@row("Garbage collector should delete pods created by rc when not orphaning")
def test_background_takes_the_pods(space: Space):
    made = controller(space, "simpletest.rc")
    delete(space, "v1/ReplicationController", made, "Background")
    assert space.gone("v1/ReplicationController", "simpletest.rc")
    space.wait(lambda: not space.list("v1/Pod"))


@row("Garbage collector should orphan pods created by rc if delete options say so")
def test_orphan_leaves_the_pods(space: Space):
    made = controller(space, "simpletest.rc")
    delete(space, "v1/ReplicationController", made, "Orphan")
    space.wait(lambda: space.gone("v1/ReplicationController", "simpletest.rc"))
    pods = space.list("v1/Pod")
    assert len(pods) == PODS
    assert not any(each["metadata"].get("ownerReferences") for each in pods)
    space.stays(lambda: len(space.list("v1/Pod")) == PODS, 1)


@row("Garbage collector should delete RS created by deployment when not orphaning")
def test_background_takes_the_replica_sets(space: Space):
    made = deployment(space, "simpletest.deployment")
    delete(space, "apps/v1/Deployment", made, "Background")
    space.wait(lambda: not space.list("apps/v1/ReplicaSet") and not space.list("v1/Pod"))


@row("Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan")
def test_orphan_leaves_the_replica_sets(space: Space):
    made = deployment(space, "simpletest.deployment")
    delete(space, "apps/v1/Deployment", made, "Orphan")
    space.wait(lambda: space.gone("apps/v1/Deployment", "simpletest.deployment"))
    (left,) = space.list("apps/v1/ReplicaSet")
    assert not left["metadata"].get("ownerReferences")
    space.stays(lambda: len(space.list("apps/v1/ReplicaSet")) == 1, 1)


@row("Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so")
def test_foreground_lets_the_owner_go_last(space: Space):
    made = controller(space, "simpletest.rc")
    events = space.watch("v1/ReplicationController")
    delete(space, "v1/ReplicationController", made, "Foreground")
    marked = next(each for each in events if each["object"]["metadata"].get("deletionTimestamp"))["object"]
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    next(each for each in events if each["type"] == "DELETED")
    assert space.list("v1/Pod") == []


@row(
    "Garbage collector should not delete dependents that have both valid owner and owner that's waiting for "
    "dependents to be deleted"
)
def test_another_owner_keeps_a_pod(space: Space):
    going = controller(space, "simpletest-rc-to-be-deleted")
    staying = controller(space, "simpletest-rc-to-stay", 0)
    reference = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "name": staying["metadata"]["name"],
        "uid": staying["metadata"]["uid"],
    }
    for each in space.list("v1/Pod")[: PODS // 2]:
        patch = {"metadata": {"ownerReferences": [reference]}}
        space.patch("v1/Pod", each["metadata"]["name"], patch, type=STRATEGIC)
    delete(space, "v1/ReplicationController", going, "Foreground")
    space.wait(lambda: space.gone("v1/ReplicationController", going["metadata"]["name"]))
    left = space.list("v1/Pod")
    assert len(left) == PODS // 2
    for each in left:
        assert "deletionTimestamp" not in each["metadata"]
        assert [one["uid"] for one in each["metadata"]["ownerReferences"]] == [staying["metadata"]["uid"]]


@row("Garbage collector should not be blocked by dependency circle")
def test_a_ring_of_owners_goes_as_a_whole(space: Space):
    made = [space.create(pod(f"pod{number}")) for number in (1, 2, 3)]
    for number, each in enumerate(made):
        owner = made[number - 1]["metadata"]
        reference = {"apiVersion": "v1", "kind": "Pod", "name": owner["name"], "uid": owner["uid"]}
        reference |= {"controller": True, "blockOwnerDeletion": True}
        patch = {"metadata": {"ownerReferences": [reference]}}
        space.patch("v1/Pod", each["metadata"]["name"], patch, type=STRATEGIC)
    delete(space, "v1/Pod", made[0], "Foreground")
    space.wait(lambda: not space.list("v1/Pod"))
