"""CronJob: a Job at the times of a schedule. Rules: pkg/controller/cronjob."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from minikube.api.batch_v1 import CronJob, CronJobStatus, Job
from minikube.api.core_v1 import ObjectReference
from minikube.api.cron import Every, parse
from minikube.api.meta import Key, ObjectMeta
from minikube.api.owners import controller_reference
from minikube.api.time import text
from minikube.controllers.base import After, Context, itself, owner_of
from minikube.controllers.job_plan import ended
from minikube.errors import AlreadyExists, NotFound

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MAX_MISSED = 100


class ScheduleError(ValueError):
    """The schedule or its time zone cannot be read; `reason` is the event's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Due(msgspec.Struct, frozen=True):
    """The latest time that has passed without a Job, and the one to come."""

    missed: datetime | None
    next: datetime | None
    too_many: bool = False


def due(cron: CronJob, now: datetime) -> Due:
    """Looks back at most startingDeadlineSeconds. Raises ScheduleError."""
    since = cron.status.last_schedule_time or cron.metadata.creation_timestamp or now
    deadline = cron.spec.starting_deadline_seconds
    if deadline is not None:
        since = max(since, now - timedelta(seconds=deadline))
    try:
        zone = ZoneInfo(cron.spec.time_zone) if cron.spec.time_zone else UTC
    except (ZoneInfoNotFoundError, ValueError) as error:
        message = f'invalid timeZone: "{cron.spec.time_zone}": {error}'
        raise ScheduleError("UnknownTimeZone", message) from error
    try:
        schedule = parse(cron.spec.schedule)
    except ValueError as error:
        message = f"unparseable schedule: {cron.spec.schedule} : {error}"
        raise ScheduleError("UnparseableSchedule", message) from error
    # A schedule may have been suspended for years: no more than tell that there are too many.
    missed = schedule.missed(since, now.astimezone(zone), MAX_MISSED + 1)
    latest = missed[0].astimezone(UTC) if missed else None
    # @every counts from the time before.
    coming = schedule.next(latest or since if isinstance(schedule, Every) else now.astimezone(zone))
    return Due(latest, coming.astimezone(UTC) if coming else None, too_many=len(missed) > MAX_MISSED)


def job_for(cron: CronJob, at: datetime) -> Job:
    """Named by the minute, so that a time never gets two Jobs."""
    template = cron.spec.job_template
    meta = ObjectMeta(
        name=f"{cron.metadata.name}-{int(at.timestamp()) // 60}",
        namespace=cron.metadata.namespace,
        labels=template.metadata.labels,
        annotations={**template.metadata.annotations, SCHEDULED: text(at)},
        owner_references=(controller_reference(cron),),
    )
    return Job(metadata=meta, spec=template.spec)


def surplus(jobs: Sequence[Job], type: str, keep: int) -> list[Job]:
    """The oldest that ended with this condition, beyond what is kept."""
    done = [job for job in jobs if (over := ended(job)) is not None and over.type == type]
    done.sort(key=lambda job: (job.status.start_time or datetime.min.replace(tzinfo=UTC), job.metadata.name))
    return done[: max(0, len(done) - keep)]


class CronJobController:
    name: ClassVar[str] = "cronjob-controller"
    workers: ClassVar[int] = 1
    watches = (itself(CronJob), owner_of(Job, "CronJob"))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._crons = context.informers.of(CronJob).lister
        self._jobs = context.informers.of(Job).lister

    async def reconcile(self, key: Key) -> After | None:
        cron = self._crons.get(key.name, key.namespace)
        if cron is None or cron.metadata.deletion_timestamp is not None:
            return None
        now = self._context.clock.now()
        await self._tidy(cron)
        try:
            times = due(cron, now)
        except ScheduleError as error:
            self._context.events.warning(cron, error.reason, str(error))
            await self._write(cron, cron.status.last_schedule_time)
            return None
        last = cron.status.last_schedule_time
        if times.missed is not None and not cron.spec.suspend:
            if times.too_many:
                message = (
                    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
                )
                self._context.events.warning(cron, "TooManyMissedTimes", message)
            if await self._start(cron, times.missed):
                last = times.missed
        await self._write(cron, last)
        if cron.spec.suspend or times.next is None:
            return None
        return After((times.next - now).total_seconds() + 0.1)

    def _owned(self, cron: CronJob) -> Sequence[Job]:
        return self._jobs.by_index("owner", cron.metadata.uid)

    def _active(self, cron: CronJob) -> list[Job]:
        found = [job for job in self._owned(cron) if ended(job) is None]
        return sorted(found, key=lambda job: job.metadata.name)

    async def _start(self, cron: CronJob, at: datetime) -> bool:
        """False when concurrency forbids it for now: it is made up for when the running Job has ended."""
        active = self._active(cron)
        events = self._context.events
        if active and cron.spec.concurrency_policy == "Forbid":
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            events.normal(cron, "JobAlreadyActive", message)
            return False
        if cron.spec.concurrency_policy == "Replace":
            for job in active:
                await self._delete(job)
                events.normal(cron, "SuccessfulDelete", f"Deleted job {job.metadata.name}")
        try:
            made = await self._client.create(job_for(cron, at))
        except AlreadyExists:
            return True
        events.normal(cron, "SuccessfulCreate", f"Created job {made.metadata.name}")
        return True

    async def _write(self, cron: CronJob, last: datetime | None) -> None:
        ends = [job.status.completion_time for job in self._owned(cron) if job.status.completion_time]
        if cron.status.last_successful_time:
            ends.append(cron.status.last_successful_time)
        best = max(ends, default=None)
        active = tuple(
            ObjectReference(
                api_version="batch/v1",
                kind="Job",
                namespace=job.metadata.namespace,
                name=job.metadata.name,
                uid=job.metadata.uid,
            )
            for job in self._active(cron)
        )
        status = CronJobStatus(active=active, last_schedule_time=last, last_successful_time=best)
        if status == cron.status:
            return
        for job in self._owned(cron):
            over = ended(job)
            if over is not None and any(one.uid == job.metadata.uid for one in cron.status.active):
                message = f"Saw completed job: {job.metadata.name}, condition: {over.type}"
                self._context.events.normal(cron, "SawCompletedJob", message)
        await self._client.update(msgspec.structs.replace(cron, status=status), subresource="status")

    async def _tidy(self, cron: CronJob) -> None:
        jobs, spec = self._owned(cron), cron.spec
        good = 3 if spec.successful_jobs_history_limit is None else spec.successful_jobs_history_limit
        bad = 1 if spec.failed_jobs_history_limit is None else spec.failed_jobs_history_limit
        for job in (*surplus(jobs, "Complete", good), *surplus(jobs, "Failed", bad)):
            await self._delete(job)

    async def _delete(self, job: Job) -> None:
        meta = job.metadata
        try:
            await self._client.delete(Job, meta.name, meta.namespace, uid=meta.uid, propagation_policy="Background")
        except NotFound:
            return
