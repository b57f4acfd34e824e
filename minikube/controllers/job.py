"""Job: pods until enough have succeeded, or too many failed. Rules: pkg/controller/job.

Ended pods are counted exactly once: they keep a finalizer until the status names them as uncounted; when the
finalizer is gone they move to the counters. What to do is decided in job_plan, what to report in job_status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.batch_v1 import Job, JobStatus
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key
from minikube.api.meta_v1 import LabelSelector
from minikube.api.owners import controller_of
from minikube.client.base import Client
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.job_plan import Plan, Tally, ended, plan, tally, verdict
from minikube.controllers.job_pods import TRACKING, Failures, failures_of, pod_for
from minikube.controllers.job_policy import failure_action
from minikube.controllers.job_status import status_of
from minikube.controllers.podcontrol import PodControl
from minikube.errors import ApiError, NotFound

OURS = ("", "kubernetes.io/job-controller")


def selector_of(job: Job) -> LabelSelector:
    return job.spec.selector or LabelSelector(match_labels={"batch.kubernetes.io/controller-uid": job.metadata.uid})


async def release(client: Client, pods: Sequence[Pod]) -> None:
    """Take the finalizer away: they are counted, or nobody counts them."""

    async def one(pod: Pod) -> None:
        keep = [name for name in pod.metadata.finalizers if name != TRACKING]
        patch = {"metadata": {"finalizers": keep or None, "uid": pod.metadata.uid}}
        try:
            await client.patch(Pod, pod.metadata.name, pod.metadata.namespace, patch=patch)
        except NotFound:
            return

    await asyncio.gather(*(one(pod) for pod in pods if TRACKING in pod.metadata.finalizers))


class JobController:
    name: ClassVar[str] = "job-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._jobs = context.informers.of(Job).lister
        self._claims = Claimer(context.client, context.informers.of(Pod), Pod, finalizer=TRACKING)
        self._control = PodControl(context.client, context.events)
        self.watches = (itself(Job), owner_or_orphan(Pod, self._jobs, "Job", selector_of))

    async def reconcile(self, key: Key) -> After | None:
        job = self._jobs.get(key.name, key.namespace)
        if job is None or job.spec.managed_by not in OURS:
            return None
        now = self._context.clock.now()
        if ended(job) is not None or job.metadata.deletion_timestamp is not None:
            await release(self._client, self._owned(job))
            return await self._expire(job, now) if job.metadata.deletion_timestamp is None else None
        pods = await self._claims.claim(job, selector_of(job))
        so_far = tally(job, pods)
        outcome = verdict(job, so_far, pods, now)
        todo = Plan(delete=so_far.active) if outcome else plan(job, so_far, pods, now)
        failure = await self._act(job, todo, so_far)
        so_far = tally(job, self._owned(job))
        if outcome is not None:
            # Nothing follows any more that would need their counts.
            lost = (*so_far.lost, *(p for p in so_far.held.values() if failure_action(job, p) != "Ignore"))
            done = (*so_far.done, *so_far.held.values())
            so_far = msgspec.structs.replace(so_far, lost=lost, held={}, done=done)
        status = status_of(job, so_far, outcome, now)
        if status != job.status:
            await self._client.update(msgspec.structs.replace(job, status=status), subresource="status")
            self._tell(job, status)
        await release(self._client, so_far.done)
        if failure:
            raise ApiError(failure)
        return self._next_look(job, status, todo, now)

    def _owned(self, job: Job) -> list[Pod]:
        return [
            pod
            for pod in self._claims.lister.by_index("owner", job.metadata.uid)
            if (owner := controller_of(pod)) is not None and owner.uid == job.metadata.uid
        ]

    def _next_look(self, job: Job, status: JobStatus, todo: Plan, now: datetime) -> After | None:
        waits = [todo.wait] if todo.wait else []
        if job.spec.active_deadline_seconds is not None and status.start_time and not job.spec.suspend:
            waits.append(job.spec.active_deadline_seconds - (now - status.start_time).total_seconds())
        return After(max(0.1, min(waits))) if waits else None

    def _tell(self, job: Job, status: JobStatus) -> None:
        before = {c.type: c.status for c in job.status.conditions}
        for condition in status.conditions:
            if before.get(condition.type) == condition.status:
                continue
            match condition.type:
                case "Complete":
                    self._context.events.normal(job, "Completed", "Job completed")
                case "Failed":
                    self._context.events.warning(job, condition.reason, condition.message)
                case "Suspended":
                    reason = "Suspended" if condition.status == "True" else "Resumed"
                    self._context.events.normal(job, reason, condition.message)

    async def _expire(self, job: Job, now: datetime) -> After | None:
        """ttlSecondsAfterFinished."""
        over, ttl = ended(job), job.spec.ttl_seconds_after_finished
        if ttl is None or over is None or over.last_transition_time is None:
            return None
        left = ttl - (now - over.last_transition_time).total_seconds()
        if left > 0:
            return After(left)
        meta = job.metadata
        await self._client.delete(Job, meta.name, meta.namespace, uid=meta.uid, propagation_policy="Foreground")
        return None

    async def _act(self, job: Job, todo: Plan, so_far: Tally) -> str:
        """The message of the first refusal, if any."""
        await release(self._client, todo.drop)
        made = [pod_for(job, index, _failures(job, so_far, index)) for index in todo.indexes]
        return await self._control.delete(job, (*todo.drop, *todo.delete)) or await self._control.create(job, made)


class JobOrphanController:
    """A pod whose Job is gone has nobody left to count it. Rules: job_controller.go syncOrphanPod."""

    name: ClassVar[str] = "job-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._jobs = context.informers.of(Job).lister
        self._pods = context.informers.of(Pod).lister
        self.watches = (Watch(Pod, _tracked), Watch(Job, self._left_behind))

    def _left_behind(self, job: Job) -> Sequence[Key]:
        if self._jobs.get(job.metadata.name, job.metadata.namespace) is not None:
            return []
        return [key for pod in self._pods.by_index("owner", job.metadata.uid) for key in _tracked(pod)]

    async def reconcile(self, key: Key) -> After | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or TRACKING not in pod.metadata.finalizers:
            return None
        owner = controller_of(pod)
        if owner is not None and owner.kind == "Job":
            job = self._jobs.get(owner.name, key.namespace)
            if job is not None and job.metadata.uid == owner.uid:
                return None
        elif owner is None and pod.metadata.deletion_timestamp is None and self._may_be_adopted(pod):
            return None
        await release(self._client, [pod])
        return None

    def _may_be_adopted(self, pod: Pod) -> bool:
        uid = pod.metadata.labels.get("batch.kubernetes.io/controller-uid", "")
        return any(job.metadata.uid == uid for job in self._jobs.list(pod.metadata.namespace))


def _tracked(pod: Pod) -> Sequence[Key]:
    return [Key(pod.metadata.namespace, pod.metadata.name)] if TRACKING in pod.metadata.finalizers else []


def _failures(job: Job, so_far: Tally, index: int | None) -> Failures | None:
    """What the next pod of an index is told about those before it."""
    if job.spec.backoff_limit_per_index is None or index is None:
        return None
    last = so_far.held.get(index)
    if last is None:
        return Failures()
    known = failures_of(last)
    if failure_action(job, last) == "Ignore":
        return Failures(known.counted, known.ignored + 1)
    return Failures(known.counted + 1, known.ignored)
