"""batch: jobs and cron jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.batch_v1 import CronJob, Job
from minikube.resources.base import age, human_duration
from minikube.resources.declare import (
    NONE,
    boolean,
    columns,
    containers,
    declare,
    images,
    number,
    selector,
    since,
)
from minikube.resources.rules.job import CronJobRules, JobRules


def _holds(job: Job, type: str) -> bool:
    return any(one.type == type and one.status == "True" for one in job.status.conditions)


def _status(job: Job) -> str:
    for type in ("Complete", "Failed"):
        if _holds(job, type):
            return type
    if job.metadata.deletion_timestamp:
        return "Terminating"
    return next(
        (type for type in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if _holds(job, type)), "Running"
    )


def _completions(job: Job) -> str:
    done = number(job.status.succeeded)
    if job.spec.completions is not None:
        return f"{done}/{job.spec.completions}"
    parallel = number(job.spec.parallelism)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def job_row(job: Job, now: datetime) -> Sequence[Any]:
    began, ended = job.status.start_time, job.status.completion_time
    return (
        job.metadata.name,
        _status(job),
        _completions(job),
        human_duration(((ended or now) - began).total_seconds()) if began else "",
        since(job, now),
        containers(job.spec.template),
        images(job.spec.template),
        selector(job.spec.selector),
    )


def cron_job_row(cron: CronJob, now: datetime) -> Sequence[Any]:
    spec, last = cron.spec, cron.status.last_schedule_time
    job = spec.job_template.spec
    return (
        cron.metadata.name,
        spec.schedule,
        spec.time_zone or NONE,
        boolean(spec.suspend),
        len(cron.status.active),
        age(last, now) if last else NONE,
        since(cron, now),
        containers(job.template),
        images(job.template),
        selector(job.selector),
    )


KINDS = (
    declare(
        Job,
        counted=True,
        strategy=JobRules(),
        categories=("all",),
        status=True,
        columns=columns("Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"),
        row=job_row,
    ),
    declare(
        CronJob,
        counted=True,
        strategy=CronJobRules(),
        short_names=("cj",),
        categories=("all",),
        status=True,
        columns=columns(
            "Name",
            "Schedule",
            "Timezone",
            "Suspend:boolean",
            "Active:integer",
            "Last Schedule",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ),
        row=cron_job_row,
    ),
)
