"""Job: pods until enough have succeeded, or too many failed. Rules: pkg/controller/job.

Ended pods are counted exactly once: they keep a finalizer until the status names them as uncounted; when the
finalizer is gone they move to the counters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.batch_v1 import Job, JobCondition, JobStatus, UncountedTerminatedPods
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself, owner_of
from minikube.controllers.job_pods import TRACKING, index_of, indexes_text, parse_indexes, pod_for
from minikube.errors import ApiError, NotFound

BACKOFF, BACKOFF_LIMIT = 10.0, 600.0


class Verdict(msgspec.Struct, frozen=True):
    """How the job ends."""

    failed: bool
    reason: str
    message: str


class Tally(msgspec.Struct, frozen=True):
    """What has come of the pods so far."""

    active: tuple[Pod, ...]
    terminating: int
    succeeded: int
    failed: int
    completed: frozenset[int]
    failed_indexes: frozenset[int]


class Plan(msgspec.Struct, frozen=True):
    create: int = 0
    indexes: tuple[int, ...] = ()
    delete: tuple[Pod, ...] = ()
    wait: float = 0


def ended(job: Job) -> JobCondition | None:
    return next((c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"), None)


def tally(job: Job, pods: Sequence[Pod]) -> Tally:
    """Counters of the status and the pods that they do not yet contain."""
    fresh = [pod for pod in pods if TRACKING in pod.metadata.finalizers]
    won = [pod for pod in fresh if pod.status.phase == "Succeeded"]
    lost = [pod for pod in fresh if pod.status.phase == "Failed" and _counts(job, pod)]
    uncounted = job.status.uncounted_terminated_pods or UncountedTerminatedPods()
    here = {pod.metadata.uid for pod in fresh}
    completed = parse_indexes(job.status.completed_indexes) | {index_of(pod) for pod in won}
    failed_indexes = parse_indexes(job.status.failed_indexes)
    if job.spec.backoff_limit_per_index is not None:
        failed_indexes |= {
            index_of(pod)
            for pod in lost
            if _failures(pod) >= job.spec.backoff_limit_per_index or _action(job, pod) == "FailIndex"
        }
    limit = job.spec.completions or 0
    gone_well = sum(1 for uid in uncounted.succeeded if uid not in here)
    gone_badly = sum(1 for uid in uncounted.failed if uid not in here)
    done = frozenset(index for index in completed if 0 <= index < limit)
    indexed = job.spec.completion_mode == "Indexed"
    return Tally(
        active=tuple(pod for pod in pods if of_pods.active(pod)),
        terminating=sum(
            1 for pod in pods if pod.metadata.deletion_timestamp and pod.status.phase not in ("Succeeded", "Failed")
        ),
        succeeded=len(done) if indexed else (job.status.succeeded or 0) + gone_well + len(won),
        failed=(job.status.failed or 0) + gone_badly + len(lost),
        completed=done,
        failed_indexes=frozenset(failed_indexes - done - {-1}),
    )


def _failures(pod: Pod) -> int:
    text = pod.metadata.annotations.get("batch.kubernetes.io/job-index-failure-count", "0")
    return int(text) if text.isdecimal() else 0


def _action(job: Job, pod: Pod) -> str:
    """What the pod failure policy says about a failed pod: Ignore, FailJob, FailIndex, Count or nothing."""
    for rule in job.spec.pod_failure_policy.rules if job.spec.pod_failure_policy else ():
        codes = rule.on_exit_codes
        if codes is not None:
            for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
                terminated = status.state.terminated if status.state else None
                if terminated is None or terminated.exit_code == 0:
                    continue
                if codes.container_name and codes.container_name != status.name:
                    continue
                if (terminated.exit_code in codes.values) is (codes.operator == "In"):
                    return rule.action
        for wanted in rule.on_pod_conditions:
            if any(c.type == wanted.type and c.status == (wanted.status or "True") for c in pod.status.conditions):
                return rule.action
    return ""


def _counts(job: Job, pod: Pod) -> bool:
    return _action(job, pod) != "Ignore"


def verdict(job: Job, so_far: Tally, pods: Sequence[Pod], now: datetime) -> Verdict | None:
    """Whether the job is over, and why."""
    spec = job.spec
    target = next((c for c in job.status.conditions if c.type in ("FailureTarget", "SuccessCriteriaMet")), None)
    if target is not None:
        return Verdict(target.type == "FailureTarget", target.reason, target.message)
    for pod in pods:
        if pod.status.phase == "Failed" and _action(job, pod) == "FailJob":
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            return Verdict(True, "PodFailurePolicy", f"Pod {name} has matched a FailJob rule")
    limit = 6 if spec.backoff_limit is None else spec.backoff_limit
    restarts = sum(c.restart_count for pod in so_far.active for c in pod.status.container_statuses)
    on_failure = bool(spec.template.spec and spec.template.spec.restart_policy == "OnFailure")
    over = so_far.failed > limit or (on_failure and restarts > 0 and restarts >= limit)
    if over and spec.backoff_limit_per_index is None:
        return Verdict(True, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    started = None if spec.suspend else job.status.start_time
    deadline = spec.active_deadline_seconds
    if deadline is not None and started and (now - started).total_seconds() >= deadline:
        return Verdict(True, "DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.max_failed_indexes is not None and len(so_far.failed_indexes) > spec.max_failed_indexes:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(True, "MaxFailedIndexesExceeded", message)
    return _success(job, so_far)


def _success(job: Job, so_far: Tally) -> Verdict | None:
    spec = job.spec
    for number, rule in enumerate(spec.success_policy.rules if spec.success_policy else ()):
        of = parse_indexes(rule.succeeded_indexes) if rule.succeeded_indexes else so_far.completed
        met = len(so_far.completed & of)
        if met >= (rule.succeeded_count if rule.succeeded_count is not None else len(of)) and met:
            return Verdict(False, "SuccessPolicy", f"Matched rules at index {number}")
    if spec.completions is None:
        if so_far.succeeded and not so_far.active:
            return Verdict(False, "CompletionsReached", "Reached expected number of succeeded pods")
        return None
    if so_far.succeeded >= spec.completions:
        return Verdict(False, "CompletionsReached", "Reached expected number of succeeded pods")
    if so_far.failed_indexes and len(so_far.failed_indexes) + so_far.succeeded >= spec.completions:
        return Verdict(True, "FailedIndexes", "Job has failed indexes")
    return None


def plan(job: Job, so_far: Tally, pods: Sequence[Pod], now: datetime) -> Plan:
    """Pods to make or remove while the job goes on."""
    active = so_far.active
    if job.spec.suspend:
        return Plan(delete=active)
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    if job.spec.completions is None:
        wanted = min(parallelism, len(active)) if so_far.succeeded else parallelism
    else:
        wanted = min(parallelism, job.spec.completions - so_far.succeeded - len(so_far.failed_indexes))
    if len(active) > wanted:
        return Plan(delete=tuple(of_pods.first_to_go(active, now)[: len(active) - wanted]))
    held = so_far.terminating if job.spec.pod_replacement_policy == "Failed" else 0
    missing = wanted - len(active) - held
    if missing <= 0:
        return Plan()
    wait = _backoff(pods, now)
    if wait > 0:
        return Plan(wait=wait)
    if job.spec.completion_mode != "Indexed":
        return Plan(create=missing)
    busy = {index_of(pod) for pod in active} | so_far.completed | so_far.failed_indexes
    free = [index for index in range(job.spec.completions or 0) if index not in busy]
    return Plan(create=min(missing, len(free)), indexes=tuple(free[:missing]))


def _backoff(pods: Sequence[Pod], now: datetime) -> float:
    """Seconds to hold back after failures in a row: 10 s, 20 s, 40 s … from the last one."""
    ends = sorted(
        (at, pod.status.phase == "Failed")
        for pod in pods
        if pod.status.phase in ("Succeeded", "Failed") and (at := _finished(pod)) is not None
    )
    failures = 0
    for _, failed in reversed(ends):
        if not failed:
            break
        failures += 1
    if not failures:
        return 0
    delay = min(BACKOFF_LIMIT, BACKOFF * 2.0 ** (failures - 1))
    return max(0.0, delay - (now - ends[-1][0]).total_seconds())


def _finished(pod: Pod) -> datetime | None:
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    return max(ends, default=pod.metadata.creation_timestamp)


def status_of(job: Job, pods: Sequence[Pod], so_far: Tally, over: Verdict | None, now: datetime) -> JobStatus:
    """The next status; Complete or Failed only once every pod has ended and is counted."""
    now = now.replace(microsecond=0)
    old = job.status
    fresh = [pod for pod in pods if TRACKING in pod.metadata.finalizers]
    won = tuple(sorted(p.metadata.uid for p in fresh if p.status.phase == "Succeeded"))
    lost = tuple(sorted(p.metadata.uid for p in fresh if p.status.phase == "Failed" and _counts(job, p)))
    conditions = {c.type: c for c in old.conditions}
    if over is not None:
        _set(conditions, "FailureTarget" if over.failed else "SuccessCriteriaMet", over.reason, over.message, now)
        if not so_far.active and not so_far.terminating and not won and not lost:
            _set(conditions, "Failed" if over.failed else "Complete", over.reason, over.message, now)
    elif job.spec.suspend:
        if "Suspended" not in conditions or conditions["Suspended"].status != "True":
            conditions.pop("Suspended", None)
            _set(conditions, "Suspended", "JobSuspended", "Job suspended", now)
    elif "Suspended" in conditions and conditions["Suspended"].status == "True":
        conditions["Suspended"] = JobCondition(
            type="Suspended", status="False", reason="JobResumed", message="Job resumed",
            last_probe_time=now, last_transition_time=now,
        )  # fmt: skip
    succeeded = so_far.succeeded - (0 if job.spec.completion_mode == "Indexed" else len(won))
    complete = "Complete" in conditions
    return JobStatus(
        active=len(so_far.active) or None,
        ready=sum(1 for pod in so_far.active if of_pods.ready(pod)),
        terminating=so_far.terminating,
        succeeded=succeeded or None,
        failed=(so_far.failed - len(lost)) or None,
        completed_indexes=indexes_text(so_far.completed) if job.spec.completion_mode == "Indexed" else "",
        failed_indexes=indexes_text(so_far.failed_indexes) if so_far.failed_indexes else "",
        start_time=None if job.spec.suspend and not complete else (old.start_time or now),
        completion_time=(old.completion_time or now) if complete else None,
        conditions=tuple(conditions.values()),
        uncounted_terminated_pods=UncountedTerminatedPods(succeeded=won, failed=lost),
    )


def _set(conditions: dict[str, JobCondition], type: str, reason: str, message: str, now: datetime) -> None:
    if type not in conditions:
        conditions[type] = JobCondition(
            type=type, status="True", reason=reason, message=message, last_probe_time=now, last_transition_time=now
        )


class JobController:
    name: ClassVar[str] = "job-controller"
    workers: ClassVar[int] = 2
    watches = (itself(Job), owner_of(Pod, "Job"))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._jobs = context.informers.of(Job).lister
        self._pods = context.informers.of(Pod).lister

    async def reconcile(self, key: Key) -> After | None:
        job = self._jobs.get(key.name, key.namespace)
        if job is None:
            return None
        now = self._context.clock.now()
        pods = list(self._pods.by_index("owner", job.metadata.uid))
        over = ended(job)
        if over is not None or job.metadata.deletion_timestamp is not None:
            await self._release([pod for pod in pods if TRACKING in pod.metadata.finalizers])
            return await self._expire(job, now) if job.metadata.deletion_timestamp is None else None
        so_far = tally(job, pods)
        outcome = verdict(job, so_far, pods, now)
        todo = Plan(delete=so_far.active) if outcome else plan(job, so_far, pods, now)
        failure = await self._act(job, todo)
        pods = list(self._pods.by_index("owner", job.metadata.uid))
        so_far = tally(job, pods)
        status = status_of(job, pods, so_far, outcome, now)
        if status != job.status:
            await self._client.update(msgspec.structs.replace(job, status=status), subresource="status")
            self._tell(job, status)
        await self._release(
            [p for p in pods if TRACKING in p.metadata.finalizers and p.status.phase in ("Succeeded", "Failed")]
        )
        if failure:
            raise ApiError(failure)
        return self._next_look(job, status, todo, now)

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

    async def _release(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            keep = [name for name in pod.metadata.finalizers if name != TRACKING]
            patch = {"metadata": {"finalizers": keep or None}}
            try:
                await self._client.patch(Pod, pod.metadata.name, pod.metadata.namespace, patch=patch)
            except NotFound:
                continue

    async def _act(self, job: Job, todo: Plan) -> str:
        events = self._context.events
        for pod in todo.delete:
            meta = pod.metadata
            try:
                await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
            except NotFound:
                continue
            events.normal(job, "SuccessfulDelete", f"Deleted pod: {meta.name}")
        made = [pod_for(job, index) for index in (todo.indexes or (None,) * todo.create)]
        batch, at = 1, 0
        while at < len(made):
            answers = await asyncio.gather(
                *(self._client.create(pod) for pod in made[at : at + batch]), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, ApiError):
                    events.warning(job, "FailedCreate", f"Error creating: {answer.message}")
                    return answer.message
                if isinstance(answer, BaseException):
                    raise answer
                events.normal(job, "SuccessfulCreate", f"Created pod: {answer.metadata.name}")
            at += batch
            batch *= 2
        return ""
