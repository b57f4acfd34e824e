"""Jobs: counting, limits by index, policies, adoption, and what becomes of pods whose Job is gone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from minikube.api.batch_v1 import (
    Job,
    JobSpec,
    PodFailurePolicy,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
    SuccessPolicy,
    SuccessPolicyRule,
)
from minikube.api.core_v1 import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.base import After
from minikube.controllers.job import JobController, JobOrphanController
from minikube.controllers.job_pods import FAILURES, INDEX, TRACKING
from tests.fakes.cluster import Cluster, template

WORK = Key("default", "work")


class World:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.controller = JobController(cluster.context())

    @classmethod
    async def open(cls, **spec: Any) -> World:
        world = cls(await Cluster.open())
        made = JobSpec(template=template(restart_policy="Never", app="work"))
        meta = ObjectMeta(name="work", namespace="default")
        await world.cluster.client.create(Job(metadata=meta, spec=msgspec.structs.replace(made, **spec)))
        await world.settle()
        return world

    async def settle(self) -> After | None:
        return await self.cluster.settle(self.controller, WORK)

    async def get(self) -> Job:
        return await self.cluster.client.get(Job, "work", "default")

    async def said(self) -> dict[str, tuple[str, str]]:
        return {one.type: (one.reason, one.message) for one in (await self.get()).status.conditions}

    async def active(self) -> list[Pod]:
        return [
            pod
            for pod in await self.cluster.pods()
            if pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is None
        ]

    async def by_index(self) -> dict[str, Pod]:
        return {pod.metadata.annotations[INDEX]: pod for pod in await self.active()}

    async def end(self, pod: Pod, exit_code: int = 0, condition: str = "") -> None:
        found = await self.cluster.client.get(Pod, pod.metadata.name, "default")
        terminated = ContainerStateTerminated(exit_code=exit_code, finished_at=self.cluster.clock.at)
        status = PodStatus(
            phase="Failed" if exit_code else "Succeeded",
            conditions=(PodCondition(type=condition, status="True"),) if condition else (),
            container_statuses=(ContainerStatus(name="main", state=ContainerState(terminated=terminated)),),
        )
        await self.cluster.client.update(msgspec.structs.replace(found, status=status), subresource="status")
        await self.settle()


async def test_each_index_has_a_limit_of_its_own_and_backs_off_by_itself() -> None:
    world = await World.open(completions=2, parallelism=2, completion_mode="Indexed", backoff_limit_per_index=1)
    pods = await world.by_index()
    await world.end(pods["0"], 1)
    assert set(await world.by_index()) == {"1"}
    assert await world.settle() == After(10.0)
    await world.cluster.clock.sleep(10)
    await world.settle()
    again = (await world.by_index())["0"]
    assert again.metadata.annotations[FAILURES] == "1"
    await world.end(again, 1)
    await world.end(pods["1"])
    status = (await world.get()).status
    assert (status.failed_indexes, status.completed_indexes) == ("0", "1")
    assert (status.failed, status.succeeded) == (2, 1)
    assert (await world.said())["Failed"] == ("FailedIndexes", "Job has failed indexes")


async def test_too_many_failed_indexes_end_the_job() -> None:
    world = await World.open(
        completions=3, parallelism=3, completion_mode="Indexed", backoff_limit_per_index=0, max_failed_indexes=0
    )
    pods = await world.by_index()
    await world.end(pods["1"], 1)
    assert (await world.said())["FailureTarget"][0] == "MaxFailedIndexesExceeded"
    assert await world.active() == []


def exit_code_rule(action: str, *codes: int) -> PodFailurePolicy:
    wanted = PodFailurePolicyOnExitCodesRequirement(operator="In", values=codes)
    return PodFailurePolicy(rules=(PodFailurePolicyRule(action=action, on_exit_codes=wanted),))


async def test_an_exit_code_can_fail_the_job_at_once() -> None:
    world = await World.open(pod_failure_policy=exit_code_rule("FailJob", 42), pod_replacement_policy="Failed")
    (pod,) = await world.active()
    await world.end(pod, 42)
    where = f"Container main for pod default/{pod.metadata.name}"
    why = f"{where} failed with exit code 42 matching FailJob rule at index 0"
    assert (await world.said())["Failed"] == ("PodFailurePolicy", why)


async def test_an_ignored_failure_does_not_count() -> None:
    pattern = PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    policy = PodFailurePolicy(rules=(PodFailurePolicyRule(action="Ignore", on_pod_conditions=(pattern,)),))
    world = await World.open(backoff_limit=0, pod_failure_policy=policy, pod_replacement_policy="Failed")
    (pod,) = await world.active()
    await world.end(pod, 1, "DisruptionTarget")
    await world.cluster.clock.sleep(11)
    await world.settle()
    assert (await world.get()).status.failed is None
    (fresh,) = await world.active()
    assert fresh.metadata.name != pod.metadata.name


async def test_a_success_policy_ends_the_job_before_all_indexes_have_succeeded() -> None:
    policy = SuccessPolicy(rules=(SuccessPolicyRule(succeeded_indexes="0,2", succeeded_count=1),))
    world = await World.open(completions=3, parallelism=3, completion_mode="Indexed", success_policy=policy)
    await world.end((await world.by_index())["2"])
    assert (await world.said())["SuccessCriteriaMet"] == ("SuccessPolicy", "Matched rules at index 0")
    await world.cluster.everything_runs()
    await world.settle()
    assert (await world.said())["Complete"][0] == "SuccessPolicy"


async def test_suspending_removes_pods_without_counting_them_as_failed() -> None:
    world = await World.open(parallelism=2, completions=2)
    await world.cluster.client.patch(Job, "work", "default", patch={"spec": {"suspend": True}})
    await world.settle()
    job = await world.get()
    assert (await world.active(), job.status.failed, job.status.start_time) == ([], None, None)
    assert (await world.said())["Suspended"] == ("JobSuspended", "Job suspended")
    await world.cluster.client.patch(Job, "work", "default", patch={"spec": {"suspend": False}})
    await world.settle()
    assert len(await world.active()) == 2
    assert (await world.said())["Suspended"] == ("JobResumed", "Job resumed")


@pytest.mark.parametrize(("policy", "replaced"), [("TerminatingOrFailed", True), ("Failed", False)])
async def test_when_a_terminating_pod_is_replaced_is_a_policy(policy: str, *, replaced: bool) -> None:
    world = await World.open(pod_replacement_policy=policy)
    (pod,) = await world.active()
    await world.cluster.phase(pod, "Running")
    binding = {"spec": {"nodeName": "n1"}}
    await world.cluster.client.patch(Pod, pod.metadata.name, "default", patch=binding, subresource="binding")
    await world.cluster.client.delete(Pod, pod.metadata.name, "default", grace_period_seconds=30)
    await world.settle()
    await world.cluster.clock.sleep(40)
    await world.settle()
    assert bool(await world.active()) is replaced


async def test_a_pod_deleted_before_it_had_a_node_is_let_go_and_counted() -> None:
    world = await World.open()
    (pod,) = await world.active()
    await world.cluster.client.delete(Pod, pod.metadata.name, "default")
    await world.settle()
    assert pod.metadata.name not in [one.metadata.name for one in await world.cluster.pods()]
    assert (await world.get()).status.failed == 1


async def test_orphans_are_adopted_and_relabelled_pods_released() -> None:
    world = await World.open()
    (pod,) = await world.active()
    name = pod.metadata.name
    await world.cluster.client.patch(Pod, name, "default", patch={"metadata": {"ownerReferences": None}})
    await world.settle()
    (back,) = await world.active()
    assert [owner.name for owner in back.metadata.owner_references] == ["work"]
    assert TRACKING in back.metadata.finalizers
    gone = dict.fromkeys(back.metadata.labels)
    await world.cluster.client.patch(Pod, name, "default", patch={"metadata": {"labels": gone}})
    await world.settle()
    released = await world.cluster.client.get(Pod, name, "default")
    assert (released.metadata.owner_references, released.metadata.finalizers) == ((), ())


async def test_pods_of_a_job_that_is_gone_lose_the_finalizer() -> None:
    world = await World.open()
    (pod,) = await world.active()
    orphans = JobOrphanController(world.cluster.context())
    key = Key("default", pod.metadata.name)
    await orphans.reconcile(key)
    assert TRACKING in (await world.active())[0].metadata.finalizers
    job = await world.get()
    await world.cluster.client.delete(Job, "work", "default")
    assert list(orphans.watches[1].keys(job)) == [key]
    await orphans.reconcile(key)
    assert (await world.active())[0].metadata.finalizers == ()


async def test_somebody_elses_job_is_left_alone() -> None:
    world = await World.open(managed_by="example.com/queue")
    assert await world.cluster.pods() == []
