"""apps/deployment: rollouts, roll-overs, history, scaling in between, and what the status says meanwhile."""

from __future__ import annotations

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, shell
from tests.conformance.workloads import (
    check_scale,
    check_status,
    condition_of,
    observed,
    owner,
    pods_of,
    template,
    wait_pods,
    web,
    workload,
)

pytestmark = pytest.mark.conformance

KIND, SET = "apps/v1/Deployment", "apps/v1/ReplicaSet"
LABELS = {"name": "sample-pod"}
REVISION = "deployment.kubernetes.io/revision"


def deployment(name: str, replicas: int, pods: Obj, **spec: object) -> Obj:
    return workload(KIND, name, LABELS, pods, replicas=replicas, **spec)


def complete(space: Space, name: str, replicas: int) -> Obj:
    return observed(
        space,
        KIND,
        name,
        replicas=replicas,
        updatedReplicas=replicas,
        readyReplicas=replicas,
        availableReplicas=replicas,
        unavailableReplicas=0,
    )


def set_command(space: Space, name: str, command: str) -> None:
    """Another template: another command."""
    containers = [{"name": "main", "command": ["sh", "-c", command]}]
    space.patch(KIND, name, {"spec": {"template": {"spec": {"containers": containers}}}}, type=STRATEGIC)


def sets(space: Space) -> list[Obj]:
    """ReplicaSets by revision."""
    return sorted(space.list(SET), key=lambda one: int(one["metadata"].get("annotations", {}).get(REVISION, 0)))


@row("Deployment RollingUpdateDeployment should delete old pods and create new ones")
def test_a_rollout_takes_over_a_set_that_was_there_before(space: Space):
    old = workload(
        SET, "test-rolling-update-controller", {**LABELS, "pod": "httpd"}, web({**LABELS, "pod": "httpd"})
    )
    old["metadata"]["annotations"] = {REVISION: "3546343826724305832"}
    space.create(old)
    before = wait_pods(space, LABELS, 1)
    made = space.create(deployment("test-rolling-update-deployment", 1, template(LABELS)))
    done = complete(space, "test-rolling-update-deployment", 1)
    assert done["metadata"]["annotations"][REVISION] == "3546343826724305833"
    left, new = sets(space)
    assert (left["metadata"]["name"], left["spec"]["replicas"]) == ("test-rolling-update-controller", 0)
    assert owner(left) == owner(new) == made["metadata"]["uid"]
    assert new["metadata"]["labels"]["pod-template-hash"] in new["metadata"]["name"]
    space.wait(
        lambda: before[0]["metadata"]["name"] not in {one["metadata"]["name"] for one in pods_of(space, LABELS)}
    )
    progressing = condition_of(done, "Progressing")
    assert progressing["reason"] == "NewReplicaSetAvailable"
    assert progressing["message"] == f'ReplicaSet "{new["metadata"]["name"]}" has successfully progressed.'


@row("Deployment RecreateDeployment should delete old pods and create new ones")
def test_recreate_has_no_pod_of_the_new_template_beside_one_of_the_old(space: Space):
    pods = template(
        LABELS, *shell("trap exit TERM; while true; do sleep 0.1; done"), terminationGracePeriodSeconds=5
    )
    space.create(deployment("test-recreate", 1, pods, strategy={"type": "Recreate"}))
    complete(space, "test-recreate", 1)
    since = space.version(KIND)
    set_command(space, "test-recreate", "exec sleep 1000")
    mixed = []

    def done(one: Obj) -> bool:
        status = one["status"]
        updated = status.get("updatedReplicas", 0)
        if updated and updated != status["replicas"]:
            mixed.append(status)
        return updated == status.get("availableReplicas") == 1 and status["observedGeneration"] == 2

    space.until(KIND, done, since=since)
    assert not mixed
    assert [one["spec"]["replicas"] for one in sets(space)] == [0, 1]


@row("Deployment deployment should delete old replica sets")
def test_no_old_sets_stay_beyond_the_limit(space: Space):
    space.create(workload(SET, "test-cleanup-controller", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    since = space.version("v1/Pod")
    space.create(deployment("test-cleanup", 1, template(LABELS, "sleep", "1000"), revisionHistoryLimit=0))
    complete(space, "test-cleanup", 1)
    space.wait(lambda: [one["spec"]["replicas"] for one in sets(space)] == [1])
    made = set()
    space.until("v1/Pod", lambda pod: made.add(pod["metadata"]["name"]) or len(made) == 2, since=since)
    assert len(wait_pods(space, LABELS, 1)) == 1


@row("Deployment deployment should support rollover")
def test_a_rollout_can_be_overtaken_by_the_next_one(space: Space):
    space.create(workload(SET, "test-rollover-controller", LABELS, template(LABELS), replicas=1))
    wait_pods(space, LABELS, 1)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    pods = template(LABELS, container={"image": "redis-slave-nonexistent:1", "imagePullPolicy": "IfNotPresent"})
    space.create(deployment("test-rollover", 1, pods, minReadySeconds=1, strategy=strategy))
    stuck = space.wait(lambda: observed(space, KIND, "test-rollover", updatedReplicas=1, unavailableReplicas=1))
    assert stuck["status"]["availableReplicas"] == 1
    image = {"containers": [{"name": "main", "image": "busybox:test"}], "terminationGracePeriodSeconds": 1}
    space.patch(KIND, "test-rollover", {"spec": {"template": {"spec": image}}}, type=STRATEGIC)
    space.wait(lambda: len(sets(space)) == 3)
    complete(space, "test-rollover", 1)
    assert [one["spec"]["replicas"] for one in sets(space)] == [0, 0, 1]


@row("Deployment deployment should support proportional scaling")
def test_a_scaling_in_mid_rollout_is_shared_in_proportion(space: Space):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    space.create(deployment("webserver", 10, template(LABELS), strategy=strategy))
    complete(space, "webserver", 10)
    image = {"containers": [{"name": "main", "image": "webserver:404", "imagePullPolicy": "Never"}]}
    space.patch(KIND, "webserver", {"spec": {"template": {"spec": image}}}, type=STRATEGIC)
    space.wait(lambda: [one["spec"]["replicas"] for one in sets(space)] == [8, 5])
    first, _ = sets(space)
    space.wait(lambda: space.get(SET, first["metadata"]["name"])["status"].get("availableReplicas") == 8)
    observed(space, KIND, "webserver", replicas=13, availableReplicas=8, updatedReplicas=5)
    space.patch(KIND, "webserver", {"spec": {"replicas": 30}})
    space.wait(lambda: [one["spec"]["replicas"] for one in sets(space)] == [20, 13])
    space.delete(KIND, "webserver", {"propagationPolicy": "Foreground"})


@row("Deployment Deployment should have a working scale subresource")
def test_its_scale_is_read_and_written(space: Space):
    space.create(deployment("test-new-deployment", 1, template(LABELS)))
    complete(space, "test-new-deployment", 1)
    check_scale(space, KIND, "test-new-deployment")


@row("Deployment should validate Deployment Status endpoints")
def test_its_status_is_read_and_written(space: Space):
    made = space.create(deployment("test-deployment", 1, template(LABELS)))
    complete(space, "test-deployment", 1)
    check_status(space, KIND, "test-deployment")
    assert space.get(KIND, "test-deployment")["spec"] == made["spec"]


@row("Deployment should run the lifecycle of a Deployment")
def test_its_life_as_a_watch_sees_it(space: Space):
    name, labels = "test-deployment", {"test-deployment-static": space.name}
    selector = f"test-deployment-static={space.name}"
    since = space.version(KIND)
    asked = workload(KIND, name, labels, template(labels), replicas=2)
    space.create(asked)

    def seen(replicas: int, command: str) -> None:
        def holds(one: Obj) -> bool:
            status = one["status"]
            return (
                one["spec"]["template"]["spec"]["containers"][0]["command"][1] == command
                and status.get("readyReplicas", 0) == status.get("updatedReplicas", 0) == replicas
                and status.get("unavailableReplicas", 0) == 0
            )

        space.until(KIND, holds, since=since, labelSelector=selector)

    space.until(
        KIND, lambda one: one["metadata"]["name"] == name, since=since, type="ADDED", labelSelector=selector
    )
    seen(2, "3600")
    spec = {
        "terminationGracePeriodSeconds": 2,
        "containers": [{"name": "main", "command": ["sleep", "1000"]}],
    }
    patch = {
        "metadata": {"labels": {"test-deployment": "patched"}},
        "spec": {"replicas": 1, "template": {"spec": spec}},
    }
    space.patch(KIND, name, patch, type=STRATEGIC)
    seen(1, "1000")
    asked["metadata"]["labels"]["test-deployment"] = "updated"
    asked["spec"]["template"]["spec"]["containers"][0]["command"] = ["sleep", "2000"]
    space.update(asked)
    assert space.get(KIND, name, sub="status")["metadata"]["labels"]["test-deployment"] == "updated"
    seen(2, "2000")
    # Labels don't change through the status, and the controller puts the counts right again.
    patch = {
        "metadata": {"labels": {"test-deployment": "patched-status"}},
        "status": {"readyReplicas": 0, "availableReplicas": 0},
    }
    space.patch(KIND, name, patch, type=STRATEGIC, sub="status")
    assert space.get(KIND, name, sub="status")["metadata"]["labels"]["test-deployment"] == "updated"
    complete(space, name, 2)
    space.ask("DELETE", KIND, body={"gracePeriodSeconds": 1}, query={"labelSelector": selector}).ok()
    space.until(KIND, lambda one: True, since=since, type="DELETED", labelSelector=selector)


def test_a_stuck_rollout_says_so_after_its_deadline_and_can_be_paused(space: Space):
    pods = template(LABELS, container={"image": "nonexistent:1", "imagePullPolicy": "Never"})
    space.create(deployment("stuck", 1, pods, progressDeadlineSeconds=1))
    stuck = space.wait(
        lambda: condition_of(found := space.get(KIND, "stuck"), "Progressing")["status"] == "False" and found
    )
    [made] = sets(space)
    assert condition_of(stuck, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert condition_of(stuck, "Progressing")["message"] == (
        f'ReplicaSet "{made["metadata"]["name"]}" has timed out progressing.'
    )
    assert condition(stuck, "Available") == "False"
    done = space.try_kubectl("rollout", "status", "deployment/stuck", "--timeout=5s")
    assert done.stderr == 'error: deployment "stuck" exceeded its progress deadline\n'
    space.kubectl("rollout", "pause", "deployment/stuck")
    set_command(space, "stuck", "exec sleep 1000")
    observed(space, KIND, "stuck")
    assert len(sets(space)) == 1
    image = {"containers": [{"name": "main", "image": "busybox:test"}]}
    space.patch(KIND, "stuck", {"spec": {"template": {"spec": image}}}, type=STRATEGIC)
    space.kubectl("rollout", "resume", "deployment/stuck")
    complete(space, "stuck", 1)
    assert len(sets(space)) == 2
    assert condition_of(space.get(KIND, "stuck"), "Progressing")["reason"] == "NewReplicaSetAvailable"
