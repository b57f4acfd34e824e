"""apps/job: completion, failure policies, indexes, adoption, and a Job's life by API calls."""

from __future__ import annotations

import pytest

from tests.api.raw import MERGE, STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import POD_START, Obj, Space, condition, shell
from tests.conformance.workloads import check_collection, condition_of, owner, pods_of, template

pytestmark = pytest.mark.conformance

KIND = "batch/v1/Job"
INDEX = "batch.kubernetes.io/job-completion-index"
FOREVER = "exec sleep 3600"
POLICY = {"emptyDir": {}, "name": "data"}


def job(script: str, *, restart: str = "Never", name: str = "foo", pod: Obj | None = None, **spec: object) -> Obj:
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    more = {"volumes": [{"name": "data", "emptyDir": {}}], **(pod or {})}
    pods = template({"job": name}, *shell(script), container=container, restartPolicy=restart, **more)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": pods, **spec},
    }


def ends(space: Space, type: str = "Complete", name: str = "foo", seconds: float = POD_START) -> Obj:
    """The Job once it has that condition."""
    found: Obj = space.wait(lambda: condition(one := space.get(KIND, name), type) == "True" and one, seconds)
    return found


def active(space: Space, number: int, name: str = "foo") -> list[Obj]:
    def running() -> list[Obj]:
        pods = pods_of(space, {"job-name": name})
        assert [pod["status"]["phase"] for pod in pods] == ["Running"] * number
        return pods

    found: list[Obj] = space.wait(running)
    return found


@row("Job should run a job to completion when tasks sometimes fail and are locally restarted")
def test_containers_that_fail_are_restarted_in_place(space: Space):
    script = "[ -f /data/foo ] && exit 0; touch /data/foo; exit 1"
    space.create(job(script, restart="OnFailure", parallelism=2, completions=4, backoffLimit=6))
    done = ends(space)["status"]
    assert (done["succeeded"], done.get("failed", 0), done["uncountedTerminatedPods"]) == (4, 0, {})
    assert done["completionTime"] >= done["startTime"]
    pods = pods_of(space, {"job-name": "foo"})
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [1, 1, 1, 1]
    assert not any("finalizers" in pod["metadata"] for pod in pods)
    done = space.get(KIND, "foo")
    assert [one["type"] for one in done["status"]["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert condition_of(done, "Complete")["reason"] == "CompletionsReached"


@row("Job should create pods for an Indexed job with completion indexes and specified hostname")
def test_pods_of_an_indexed_job_know_their_index(space: Space):
    script = 'echo "$JOB_COMPLETION_INDEX $(hostname)"'
    space.create(job(script, parallelism=2, completions=4, backoffLimit=6, completionMode="Indexed"))
    assert ends(space)["status"]["completedIndexes"] == "0-3"
    pods = pods_of(space, {"job-name": "foo"})
    assert sorted(pod["metadata"]["annotations"][INDEX] for pod in pods) == ["0", "1", "2", "3"]
    for pod in pods:
        index = pod["metadata"]["annotations"][INDEX]
        assert pod["metadata"]["labels"][INDEX] == index
        assert pod["spec"]["hostname"] == f"foo-{index}"
        assert space.logs(pod["metadata"]["name"]) == f"{index} foo-{index}\n"


@row("Job should delete a job")
def test_a_deleted_job_takes_its_pods_along(space: Space):
    space.create(job(FOREVER, parallelism=2, completions=4))
    active(space, 2)
    space.delete(KIND, "foo", {"propagationPolicy": "Background"})
    space.wait(lambda: not pods_of(space, {"job-name": "foo"}))
    assert space.gone(KIND, "foo")


@row("Job should adopt matching orphans and release non-matching pods")
def test_a_job_adopts_and_releases(space: Space):
    made = space.create(job(FOREVER, parallelism=2, completions=4))
    name = active(space, 2)[0]["metadata"]["name"]

    def put(change: str, where: str = "metadata") -> Obj:
        pod = space.get("v1/Pod", name)
        del pod[where][change]
        return space.update(pod)

    space.wait(lambda: put("ownerReferences"))
    space.wait(lambda: owner(space.get("v1/Pod", name)) == made["metadata"]["uid"])
    space.wait(lambda: put("labels"))
    space.wait(lambda: owner(space.get("v1/Pod", name)) == "")
    assert "finalizers" not in space.get("v1/Pod", name)["metadata"]


@row("Job should allow to use the pod failure policy on exit code to fail the job early")
def test_an_exit_code_can_fail_the_job_at_once(space: Space):
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
    spec = {"parallelism": 1, "completions": 4, "podFailurePolicy": {"rules": [rule]}, "backoffLimit": 6}
    space.create(job("exit 1", **spec))
    failed = condition_of(ends(space, "Failed"), "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    [pod] = pods_of(space, {"job-name": "foo"})
    name = f"{space.name}/{pod['metadata']['name']}"
    assert failed["message"] == (
        f"Container main for pod {name} failed with exit code 1 matching FailJob rule at index 0"
    )


@row("Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition")
def test_a_disrupted_pod_is_not_counted_as_failed(space: Space):
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    node = next(iter(space.site.nodes))
    script = (
        "if [ -f /data/foo ]; then exit 0; fi; touch /data/foo; trap 'exit 1' TERM; while true; do sleep 0.1; done"
    )
    volume = {"name": "data", "hostPath": {"path": f"/tmp/{space.name}", "type": "DirectoryOrCreate"}}
    pod = {"nodeName": node, "volumes": [volume], "terminationGracePeriodSeconds": 30}
    spec = {"parallelism": 1, "completions": 1, "backoffLimit": 0, "podFailurePolicy": {"rules": [rule]}}
    space.create(job(script, pod=pod, **spec))
    [first] = active(space, 1)
    name = first["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space.name}}
    space.wait(lambda: space.exec(name, "ls", "/data/foo"))
    space.ask("POST", "v1/Pod", name, eviction, sub="eviction").ok(201)
    done = ends(space)["status"]
    assert (done["succeeded"], done.get("failed", 0)) == (1, 0)
    space.output(
        {
            **job("rm -r /host/" + space.name)["spec"]["template"],
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "cleanup"},
            "spec": {
                "nodeName": node,
                "restartPolicy": "Never",
                "volumes": [{"name": "data", "hostPath": {"path": "/tmp"}}],
                "containers": [
                    {
                        "name": "main",
                        "image": "busybox:test",
                        "command": ["rm", "-r", f"/host/{space.name}"],
                        "volumeMounts": [{"name": "data", "mountPath": "/host"}],
                    }
                ],
            },
        }
    )


@row("Job should apply changes to a job status")
def test_the_status_of_a_job_is_patched_and_put(space: Space):
    made = space.create(job(FOREVER, parallelism=2, completions=4))
    active(space, 2)
    space.wait(lambda: space.get(KIND, "foo")["status"].get("ready") == 2)
    began = {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, **began}
    patched = space.patch(KIND, "foo", patch, type=MERGE, sub="status")
    assert patched["status"]["startTime"] == "2026-01-01T00:00:00Z"
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"

    def put() -> Obj:
        fresh = space.get(KIND, "foo")
        fresh["status"]["startTime"] = "2026-02-02T00:00:00Z"
        return space.update(fresh, sub="status")

    assert space.wait(put)["status"]["startTime"] == "2026-02-02T00:00:00Z"
    assert space.get(KIND, "foo", sub="status")["metadata"]["uid"] == made["metadata"]["uid"]


@row("Job should manage the lifecycle of a job")
def test_the_life_of_a_suspended_job(space: Space):
    selector = f"e2e-job={space.name}"
    asked = job("exit 0", name="e2e-job", parallelism=2, completions=4, backoffLimit=6, suspend=True)
    asked["metadata"]["labels"] = {"e2e-job": space.name}
    since = space.version(KIND)
    space.create(asked)

    def seen(holds: object, type: str = "") -> None:
        space.until(KIND, holds, since=since, type=type, labelSelector=selector)  # type: ignore[arg-type]

    seen(lambda one: condition(one, "Suspended") == "True")
    space.patch(KIND, "e2e-job", {"metadata": {"labels": {"e2e-e2e": "patched"}}}, type=STRATEGIC)
    seen(lambda one: one["metadata"]["labels"].get("e2e-e2e") == "patched", "MODIFIED")

    def put() -> Obj:
        fresh = space.get(KIND, "e2e-job")
        fresh["spec"]["suspend"] = False
        fresh["metadata"]["annotations"] = {"updated": "true"}
        return space.update(fresh)

    space.wait(put)
    seen(lambda one: one["metadata"].get("annotations", {}).get("updated") == "true", "MODIFIED")
    done = ends(space, name="e2e-job")
    assert condition_of(done, "Suspended")["status"] == "False"
    assert condition_of(done, "Suspended")["reason"] == "JobResumed"
    check_collection(space, KIND, selector)
    seen(lambda one: True, "DELETED")


def test_each_index_has_failures_of_its_own(space: Space):
    script = "exit $((JOB_COMPLETION_INDEX % 2))"
    spec = {"completionMode": "Indexed", "parallelism": 4, "completions": 4, "backoffLimitPerIndex": 0}
    space.create(job(script, **spec))
    failed = ends(space, "Failed")
    assert condition_of(failed, "Failed")["reason"] == "FailedIndexes"
    status = failed["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert (status["succeeded"], status["failed"]) == (2, 2)


def test_a_success_policy_ends_the_job_and_its_other_pods(space: Space):
    script = '[ "$JOB_COMPLETION_INDEX" = 0 ] || exec sleep 3600'
    policy = {"rules": [{"succeededIndexes": "0"}]}
    spec = {"completionMode": "Indexed", "parallelism": 3, "completions": 3, "successPolicy": policy}
    space.create(job(script, **spec))
    done = ends(space)
    assert condition_of(done, "Complete")["reason"] == "SuccessPolicy"
    assert (done["status"]["succeeded"], done["status"].get("active", 0)) == (1, 0)
    space.wait(lambda: len(pods_of(space, {"job-name": "foo"})) == 1)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"backoffLimit": 0}, "BackoffLimitExceeded"),
        ({"activeDeadlineSeconds": 1}, "DeadlineExceeded"),
    ],
)
def test_a_job_fails_for_a_reason(space: Space, spec: Obj, reason: str):
    space.create(job("exit 1" if reason.startswith("Backoff") else FOREVER, **spec))
    failed = ends(space, "Failed")
    assert [one["reason"] for one in failed["status"]["conditions"]] == [reason, reason]
    assert (failed["status"]["failed"], failed["status"].get("active", 0)) == (1, 0)


def test_a_job_that_is_suspended_loses_its_pods_and_goes_on_afterwards(space: Space):
    space.create(job(FOREVER, parallelism=2, completions=2))
    active(space, 2)
    space.patch(KIND, "foo", {"spec": {"suspend": True}})
    space.wait(lambda: not pods_of(space, {"job-name": "foo"}))
    suspended = space.wait(lambda: condition(one := space.get(KIND, "foo"), "Suspended") == "True" and one)
    assert ("startTime" in suspended["status"], suspended["status"].get("failed", 0)) == (False, 0)
    space.patch(KIND, "foo", {"spec": {"suspend": False}})
    active(space, 2)
    assert "startTime" in space.get(KIND, "foo")["status"]


def test_a_job_of_another_controller_is_left_alone(space: Space):
    space.create(job("exit 0", managedBy="example.com/other"))
    space.create(job("exit 0", name="ours", managedBy="kubernetes.io/job-controller"))
    ends(space, name="ours")
    assert (space.get(KIND, "foo")["status"], pods_of(space, {"job-name": "foo"})) == ({}, [])
