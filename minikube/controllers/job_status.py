"""The next status of a Job: counters, conditions, and which ended pods are about to be counted. Purely."""

from __future__ import annotations

from datetime import datetime

from minikube.api.batch_v1 import Job, JobCondition, JobStatus, UncountedTerminatedPods
from minikube.api.time import seconds
from minikube.controllers import pods as of_pods
from minikube.controllers.job_plan import Tally, Verdict, indexed
from minikube.controllers.job_pods import indexes_text
from minikube.controllers.job_policy import failure_action


def status_of(job: Job, so_far: Tally, over: Verdict | None, now: datetime) -> JobStatus:
    """Complete or Failed is said only once every pod has ended and is counted."""
    now = seconds(now)
    old, over_now = job.status, False
    conditions = {one.type: one for one in old.conditions}
    if over is not None:
        _set(conditions, "FailureTarget" if over.failed else "SuccessCriteriaMet", over.reason, over.message, now)
        waiting = so_far.active or so_far.terminating or so_far.won or so_far.lost or so_far.held
        over_now = not waiting
        if over_now:
            _set(conditions, "Failed" if over.failed else "Complete", over.reason, over.message, now)
    else:
        _suspended(job, conditions, now)
    complete = over_now and over is not None and not over.failed
    return JobStatus(
        active=len(so_far.active) or None,
        ready=sum(1 for pod in so_far.active if of_pods.ready(pod)),
        terminating=so_far.terminating,
        succeeded=(so_far.succeeded - (0 if indexed(job) else len(so_far.won))) or None,
        failed=(so_far.failed - len(so_far.lost) - _counting(job, so_far)) or None,
        completed_indexes=indexes_text(so_far.completed) if indexed(job) else "",
        failed_indexes=indexes_text(so_far.failed_indexes) if so_far.failed_indexes else old.failed_indexes,
        start_time=_start(job, over, now),
        completion_time=(old.completion_time or now) if complete else old.completion_time,
        conditions=tuple(conditions.values()),
        uncounted_terminated_pods=UncountedTerminatedPods(
            succeeded=tuple(sorted(pod.metadata.uid for pod in so_far.won)),
            failed=tuple(sorted(pod.metadata.uid for pod in so_far.lost)),
        ),
    )


def _counting(job: Job, so_far: Tally) -> int:
    """Held pods that are part of `failed` (an ignored failure is not)."""
    return sum(1 for pod in so_far.held.values() if failure_action(job, pod) != "Ignore")


def _start(job: Job, over: Verdict | None, now: datetime) -> datetime | None:
    if job.spec.suspend and over is None:
        return None
    return job.status.start_time or now


def _suspended(job: Job, conditions: dict[str, JobCondition], now: datetime) -> None:
    known = conditions.get("Suspended")
    if job.spec.suspend and (known is None or known.status != "True"):
        conditions.pop("Suspended", None)
        _set(conditions, "Suspended", "JobSuspended", "Job suspended", now)
    elif not job.spec.suspend and known is not None and known.status == "True":
        conditions.pop("Suspended")
        _set(conditions, "Suspended", "JobResumed", "Job resumed", now, status="False")


def _set(
    conditions: dict[str, JobCondition],
    type: str,
    reason: str,
    message: str,
    now: datetime,
    *,
    status: str = "True",
) -> None:
    """Once said, a condition stays."""
    if type not in conditions:
        conditions[type] = JobCondition(
            type=type,
            status=status,
            reason=reason,
            message=message,
            last_probe_time=now,
            last_transition_time=now,
        )
