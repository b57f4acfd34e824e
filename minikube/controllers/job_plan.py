"""Where a Job stands, whether it is over, and which pods to make or remove, purely. Rules: pkg/controller/job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from minikube.api.batch_v1 import Job, JobCondition, UncountedTerminatedPods
from minikube.api.core_v1 import Pod
from minikube.controllers import pods as of_pods
from minikube.controllers.job_pods import TRACKING, failures_of, index_of, parse_indexes
from minikube.controllers.job_policy import failure_action, failure_match, success_rule

BACKOFF, BACKOFF_LIMIT = 10.0, 600.0
UNLIMITED = 2**31 - 1


class Verdict(msgspec.Struct, frozen=True):
    """How the job ends."""

    failed: bool
    reason: str
    message: str


class Tally(msgspec.Struct, frozen=True):
    """What has come of the pods so far. `won` and `lost` keep their finalizer and are not in the counters yet;
    `held` are lost ones whose index waits for its next pod: they carry its count of failures until then."""

    active: tuple[Pod, ...]
    terminating: int
    succeeded: int
    failed: int
    completed: frozenset[int]
    failed_indexes: frozenset[int]
    won: tuple[Pod, ...] = ()
    lost: tuple[Pod, ...] = ()
    held: Mapping[int, Pod] = {}
    done: tuple[Pod, ...] = ()
    """Ended pods whose finalizer may go once the status says so: won, lost and ignored ones."""


class Plan(msgspec.Struct, frozen=True):
    """`indexes` of the pods to make (None: without index). `drop`: to be removed and not counted as failed;
    `delete`: to be removed because the job is over."""

    indexes: tuple[int | None, ...] = ()
    drop: tuple[Pod, ...] = ()
    delete: tuple[Pod, ...] = ()
    wait: float = 0


def ended(job: Job) -> JobCondition | None:
    return next((c for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True"), None)


def indexed(job: Job) -> bool:
    return job.spec.completion_mode == "Indexed"


def only_replaces_failed(job: Job) -> bool:
    policy = job.spec.pod_replacement_policy
    return policy == "Failed" or (not policy and job.spec.pod_failure_policy is not None)


def pod_failed(job: Job, pod: Pod) -> bool:
    """A deleted pod may never get so far as to fail: it counts at once, unless only failed ones are replaced."""
    if pod.status.phase == "Failed":
        return True
    going = pod.metadata.deletion_timestamp is not None and pod.status.phase != "Succeeded"
    return going and (not only_replaces_failed(job) or not pod.spec.node_name)


def tally(job: Job, pods: Sequence[Pod]) -> Tally:
    """The status's counters and the pods that they do not contain yet."""
    fresh = [pod for pod in pods if TRACKING in pod.metadata.finalizers and _in_range(job, pod)]
    won = tuple(pod for pod in fresh if pod.status.phase == "Succeeded")
    failed = [pod for pod in fresh if pod_failed(job, pod)]
    counting = [pod for pod in failed if failure_action(job, pod) != "Ignore"]
    uncounted = job.status.uncounted_terminated_pods or UncountedTerminatedPods()
    here = {pod.metadata.uid for pod in fresh}
    completed = parse_indexes(job.status.completed_indexes)
    if indexed(job):
        limit = job.spec.completions or 0
        completed = frozenset(i for i in completed | {index_of(pod) for pod in won} if 0 <= i < limit)
    failed_indexes = _failed_indexes(job, counting) - completed
    active = tuple(pod for pod in pods if of_pods.active(pod))
    held = _held(job, failed, {index_of(pod) for pod in active} | completed | failed_indexes)
    kept = {pod.metadata.uid for pod in held.values()}
    others = [pod for pod in pods if TRACKING in pod.metadata.finalizers and not _in_range(job, pod)]
    before = job.status.succeeded or 0
    return Tally(
        active=active,
        terminating=sum(
            1 for pod in pods if pod.metadata.deletion_timestamp and pod.status.phase not in ("Succeeded", "Failed")
        ),
        succeeded=len(completed)
        if indexed(job)
        else before + sum(1 for uid in uncounted.succeeded if uid not in here) + len(won),
        failed=(job.status.failed or 0) + sum(1 for uid in uncounted.failed if uid not in here) + len(counting),
        completed=completed,
        failed_indexes=failed_indexes,
        won=won,
        lost=tuple(pod for pod in counting if pod.metadata.uid not in kept),
        held=held,
        done=tuple(
            pod
            for pod in (*won, *failed, *(p for p in others if pod_failed(job, p) or p.status.phase == "Succeeded"))
            if pod.metadata.uid not in kept
        ),
    )


def _in_range(job: Job, pod: Pod) -> bool:
    return not indexed(job) or 0 <= index_of(pod) < (job.spec.completions or 0)


def _failed_indexes(job: Job, counting: Sequence[Pod]) -> frozenset[int]:
    limit = job.spec.backoff_limit_per_index
    if limit is None:
        return frozenset()
    fresh = {
        index_of(pod)
        for pod in counting
        if failures_of(pod).counted >= limit or failure_action(job, pod) == "FailIndex"
    }
    return parse_indexes(job.status.failed_indexes) | fresh


def _held(job: Job, failed: Sequence[Pod], settled: set[int]) -> dict[int, Pod]:
    """Of each index that will get another pod the one that failed last."""
    if job.spec.backoff_limit_per_index is None:
        return {}
    last: dict[int, Pod] = {}
    for pod in failed:
        index = index_of(pod)
        if index in settled:
            continue
        known = last.get(index)
        if known is None or failures_of(known).total <= failures_of(pod).total:
            last[index] = pod
    return last


def verdict(job: Job, so_far: Tally, pods: Sequence[Pod], now: datetime) -> Verdict | None:
    """Whether the job is over, and why."""
    spec = job.spec
    target = next((c for c in job.status.conditions if c.type in ("FailureTarget", "SuccessCriteriaMet")), None)
    if target is not None:
        return Verdict(target.type == "FailureTarget", target.reason, target.message)
    for pod in pods:
        match = failure_match(job, pod) if pod_failed(job, pod) else None
        if match is not None and match.action == "FailJob":
            return Verdict(True, "PodFailurePolicy", match.why)
    if _past_backoff_limit(job, so_far):
        return Verdict(True, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    started, deadline = job.status.start_time, spec.active_deadline_seconds
    if deadline is not None and started and not spec.suspend and (now - started).total_seconds() >= deadline:
        return Verdict(True, "DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.max_failed_indexes is not None and len(so_far.failed_indexes) > spec.max_failed_indexes:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(True, "MaxFailedIndexesExceeded", message)
    if so_far.failed_indexes and len(so_far.failed_indexes) + so_far.succeeded >= (spec.completions or 0):
        return Verdict(True, "FailedIndexes", "Job has failed indexes")
    return _success(job, so_far)


def _past_backoff_limit(job: Job, so_far: Tally) -> bool:
    spec = job.spec
    limit = spec.backoff_limit
    if limit is None:
        limit = 6 if spec.backoff_limit_per_index is None else UNLIMITED
    if so_far.failed > limit:
        return True
    if spec.template.spec is None or spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(
        status.restart_count
        for pod in so_far.active
        for status in (*pod.status.container_statuses, *pod.status.init_container_statuses)
    )
    return restarts > 0 and restarts >= limit


def _success(job: Job, so_far: Tally) -> Verdict | None:
    rule = success_rule(job, so_far.completed)
    if rule is not None:
        return Verdict(False, "SuccessPolicy", f"Matched rules at index {rule}")
    if job.spec.completions is None:
        reached = so_far.succeeded > 0 and not so_far.active
    else:
        reached = so_far.succeeded >= job.spec.completions
    return Verdict(False, "CompletionsReached", "Reached expected number of succeeded pods") if reached else None


def plan(job: Job, so_far: Tally, pods: Sequence[Pod], now: datetime) -> Plan:
    """Pods to make or remove while the job goes on."""
    active = so_far.active
    if job.spec.suspend:
        return Plan(drop=active)
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    if job.spec.completions is None:
        wanted = min(parallelism, len(active)) if so_far.succeeded else parallelism
    else:
        wanted = min(parallelism, job.spec.completions - so_far.succeeded - len(so_far.failed_indexes))
    surplus = len(active) - max(0, wanted)
    if surplus > 0:
        return Plan(drop=_surplus(job, active, surplus, now))
    missing = wanted - len(active) - (so_far.terminating if only_replaces_failed(job) else 0)
    if missing <= 0:
        return Plan()
    if job.spec.backoff_limit_per_index is not None:
        return _by_index(job, so_far, missing, now)
    wait = _backoff(pods, now)
    if wait > 0:
        return Plan(wait=wait)
    return Plan(indexes=tuple(_free(job, so_far)[:missing]) if indexed(job) else (None,) * missing)


def _surplus(job: Job, active: Sequence[Pod], count: int, now: datetime) -> tuple[Pod, ...]:
    """Of an indexed job doubled and then the highest indexes go first."""
    if not indexed(job):
        return tuple(of_pods.first_to_go(active, now)[:count])
    first: dict[int, Pod] = {}
    double = [pod for pod in active if first.setdefault(index_of(pod), pod) is not pod]
    rest = sorted(first.values(), key=index_of, reverse=True)
    return tuple([*double, *rest][:count])


def _free(job: Job, so_far: Tally) -> list[int]:
    busy = {index_of(pod) for pod in so_far.active} | so_far.completed | so_far.failed_indexes
    return [index for index in range(job.spec.completions or 0) if index not in busy]


def _by_index(job: Job, so_far: Tally, missing: int, now: datetime) -> Plan:
    """Every index backs off by itself."""
    waits: dict[int, float] = {}
    for index in _free(job, so_far):
        failed = so_far.held.get(index)
        waits[index] = _delay(failures_of(failed).total + 1, _finished(failed), now) if failed is not None else 0.0
    due = [index for index, wait in waits.items() if wait <= 0][:missing]
    later = [wait for wait in waits.values() if wait > 0]
    return Plan(indexes=tuple(due), wait=min(later) if later and len(due) < missing else 0)


def _backoff(pods: Sequence[Pod], now: datetime) -> float:
    """Seconds to hold back after failures in a row: 10 s, 20 s, 40 s … from the last one."""
    ends = sorted(
        ((at, pod.status.phase == "Failed") for pod in pods if (at := _finished(pod)) is not None and _ended(pod)),
    )
    failures = 0
    for _, failed in reversed(ends):
        if not failed:
            break
        failures += 1
    return _delay(failures, ends[-1][0], now) if failures else 0.0


def _delay(failures: int, since: datetime | None, now: datetime) -> float:
    delay = min(BACKOFF_LIMIT, BACKOFF * 2.0 ** (failures - 1))
    return max(0.0, delay - (now - (since or now)).total_seconds())


def _ended(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def _finished(pod: Pod) -> datetime | None:
    """When its last container ended, or what comes nearest to it."""
    ends = [
        status.state.terminated.finished_at
        for status in pod.status.container_statuses
        if status.state and status.state.terminated and status.state.terminated.finished_at
    ]
    return max(ends, default=pod.metadata.deletion_timestamp or pod.metadata.creation_timestamp)
