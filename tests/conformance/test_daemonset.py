"""apps/daemonset and apps/controllerrevision: a pod on each node, and the history of its template."""

from __future__ import annotations

import pytest

from tests.api.raw import MERGE, STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space
from tests.conformance.workloads import (
    check_collection,
    check_status,
    observed,
    pods_of,
    template,
    wait_pods,
    workload,
)

pytestmark = pytest.mark.conformance

KIND, REVISION = "apps/v1/DaemonSet", "apps/v1/ControllerRevision"
LABELS = {"daemonset-name": "daemon-set"}
HASH = "controller-revision-hash"
ROLLING = {"type": "RollingUpdate"}


def daemon(space: Space, **spec: Obj) -> Obj:
    """On every node, and its status says so."""
    space.create(workload(KIND, "daemon-set", LABELS, template(LABELS), **spec))
    return everywhere(space)


def everywhere(space: Space) -> Obj:
    number = len(space.site.nodes)
    pods = wait_pods(space, LABELS, number)
    assert {pod["spec"]["nodeName"] for pod in pods} == set(space.site.nodes)
    return observed(
        space,
        KIND,
        "daemon-set",
        desiredNumberScheduled=number,
        currentNumberScheduled=number,
        numberReady=number,
        numberAvailable=number,
        updatedNumberScheduled=number,
    )


def revisions(space: Space) -> list[Obj]:
    """Oldest first."""
    return sorted(space.list(REVISION), key=lambda one: one["revision"])


def set_image(space: Space, image: str) -> None:
    containers = [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}]
    space.patch(KIND, "daemon-set", {"spec": {"template": {"spec": {"containers": containers}}}}, type=STRATEGIC)


@row("Daemon set should run and stop simple daemon")
def test_every_node_has_one_and_gets_it_again(space: Space):
    daemon(space)
    gone = pods_of(space, LABELS)[0]["metadata"]["name"]
    space.delete("v1/Pod", gone)
    everywhere(space)
    assert gone not in {pod["metadata"]["name"] for pod in pods_of(space, LABELS)}


@row("Daemon set should run and stop complex daemon")
def test_daemons_follow_the_labels_of_nodes(space: Space):
    node, label = next(iter(space.site.nodes)), f"{space.name}-color"

    def paint(color: str | None) -> None:
        space.patch("v1/Node", node, {"metadata": {"labels": {label: color}}}, type=STRATEGIC)

    def runs(number: int) -> None:
        wait_pods(space, LABELS, number)
        observed(space, KIND, "daemon-set", desiredNumberScheduled=number, numberReady=number)

    space.create(workload(KIND, "daemon-set", LABELS, template(LABELS, nodeSelector={label: "blue"})))
    runs(0)
    paint("blue")
    runs(1)
    assert pods_of(space, LABELS)[0]["spec"]["nodeName"] == node
    paint("green")
    runs(0)
    spec = {"template": {"spec": {"nodeSelector": {label: "green"}}}, "updateStrategy": ROLLING}
    space.patch(KIND, "daemon-set", {"spec": spec}, type=STRATEGIC)
    runs(1)
    paint(None)
    runs(0)


@row("Daemon set should retry creating failed daemon pods")
def test_a_failed_daemon_is_replaced(space: Space):
    daemon(space)
    pod = pods_of(space, LABELS)[0]
    pod["metadata"].pop("resourceVersion")
    pod["status"]["phase"] = "Failed"
    assert space.update(pod, sub="status")["status"]["phase"] == "Failed"
    everywhere(space)
    space.wait(lambda: space.gone("v1/Pod", pod["metadata"]["name"]))
    assert [one["reason"] for one in space.events("daemon-set")].count("FailedDaemonPod") == 1


@row("Daemon set should update pod when spec was updated and update strategy is RollingUpdate")
def test_a_new_template_is_rolled_out(space: Space):
    daemon(space, updateStrategy=ROLLING)
    [first] = revisions(space)
    assert (first["revision"], first["metadata"]["labels"][HASH]) == (1, hashes(space)[0])
    containers = [{"name": "main", "command": ["sleep", "1000"]}]
    space.patch(KIND, "daemon-set", {"spec": {"template": {"spec": {"containers": containers}}}}, type=STRATEGIC)
    everywhere(space)
    _, second = revisions(space)
    assert (second["revision"], set(hashes(space))) == (2, {second["metadata"]["labels"][HASH]})


def hashes(space: Space) -> list[str]:
    return [pod["metadata"]["labels"][HASH] for pod in pods_of(space, LABELS)]


@row("Daemon set should rollback without unnecessary restarts")
def test_a_rollback_restarts_only_what_was_updated(space: Space):
    daemon(space, updateStrategy=ROLLING)
    before = {pod["metadata"]["name"] for pod in pods_of(space, LABELS)}
    set_image(space, "foo:non-existent")
    space.wait(
        lambda: [pod for pod in pods_of(space, LABELS) if pod["spec"]["containers"][0]["image"].startswith("foo")]
    )
    kept = before & {pod["metadata"]["name"] for pod in pods_of(space, LABELS)}
    assert len(kept) == 1
    set_image(space, "busybox:test")
    everywhere(space)
    pods = {pod["metadata"]["name"]: pod for pod in pods_of(space, LABELS)}
    for name in kept:
        assert pods[name]["status"]["containerStatuses"][0]["restartCount"] == 0
    assert [one["revision"] for one in revisions(space)] == [2, 3]


@row("Daemon set should list and delete a collection of DaemonSets")
def test_a_collection_is_listed_everywhere_and_deleted(space: Space):
    daemon(space)
    space.patch(KIND, "daemon-set", {"metadata": {"labels": {"e2e": space.name}}})
    check_collection(space, KIND, f"e2e={space.name}")


@row("Daemon set should verify changes to a daemon set status")
def test_its_status_is_read_and_written(space: Space):
    daemon(space)
    check_status(space, KIND, "daemon-set")


@row("ControllerRevision should manage the lifecycle of a ControllerRevision")
def test_revisions_can_be_made_and_removed_by_others(space: Space):
    daemon(space)
    labels = {"revisions-of": space.name}
    selector = f"revisions-of={space.name}"
    pods = template(labels)
    made = space.create(workload(KIND, "other", labels, pods))
    wait_pods(space, labels, len(space.site.nodes))
    before = {pod["metadata"]["uid"] for pod in pods_of(space, labels)}

    def are(number: int) -> list[Obj]:
        found: list[Obj] = space.wait(
            lambda: len(found := space.list(REVISION, labelSelector=selector)) == number and found
        )
        return found

    [initial] = are(1)
    name = initial["metadata"]["name"]
    reference = initial["metadata"]["ownerReferences"][0]
    assert (reference["kind"], reference["uid"]) == ("DaemonSet", made["metadata"]["uid"])
    patched = space.patch(REVISION, name, {"metadata": {"labels": {name: "patched"}}}, type=STRATEGIC)
    assert patched["metadata"]["labels"][name] == "patched"
    again = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "other-7d5f8b9c",
            "labels": {**labels, HASH: "7d5f8b9c"},
            "ownerReferences": [reference],
        },
        "data": initial["data"],
        "revision": initial["revision"] + 1,
    }
    space.create(again)
    are(2)
    space.delete(REVISION, name)
    [left] = are(1)
    assert left["metadata"]["name"] == "other-7d5f8b9c"
    left["metadata"]["labels"]["other-7d5f8b9c"] = "updated"
    assert space.update(left)["metadata"]["labels"]["other-7d5f8b9c"] == "updated"
    # The same template under another name: its pods stay, and bear that name's hash.
    space.wait(lambda: {pod["metadata"]["labels"][HASH] for pod in pods_of(space, labels)} == {"7d5f8b9c"})
    assert {pod["metadata"]["uid"] for pod in pods_of(space, labels)} == before
    spec = {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}
    space.patch(KIND, "other", {"spec": spec, "updateStrategy": ROLLING}, type=STRATEGIC)
    are(2)
    space.ask("DELETE", REVISION, body={}, query={"labelSelector": "other-7d5f8b9c=updated"}).ok()
    assert are(1)[0]["revision"] == 3
    refused = space.ask("PATCH", REVISION, are(1)[0]["metadata"]["name"], {"data": {"spec": None}}, type=MERGE)
    assert "field is immutable" in refused.refused(422, "Invalid")
