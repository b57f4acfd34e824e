"""apps/cronjob: what happens when it is time again, by concurrency policy, and all verbs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.raw import MERGE
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, shell
from tests.conformance.verbs import check_discovery, check_verbs
from tests.conformance.workloads import template

pytestmark = pytest.mark.conformance

KIND, JOB = "batch/v1/CronJob", "batch/v1/Job"


def cron(
    name: str, policy: str = "Allow", *, schedule: str = "0 0 29 2 *", script: str = "sleep 300", **spec: object
) -> Obj:
    pods = template({}, *shell(script), restartPolicy="OnFailure")
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": schedule,
            "concurrencyPolicy": policy,
            "jobTemplate": {"spec": {"parallelism": 1, "completions": 1, "template": pods}},
            **spec,
        },
    }


def come_due(space: Space, minutes_ago: int) -> None:
    """As if the last run were long ago and that minute had just come: nobody waits for the clock."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    long_ago = (at - timedelta(minutes=50)).strftime("%Y-%m-%dT%H:%M:%SZ")
    space.patch(KIND, "cron", {"spec": {"schedule": f"{at.minute} * * * *"}})
    space.patch(KIND, "cron", {"status": {"lastScheduleTime": long_ago}}, sub="status")


def active(space: Space, number: int) -> list[str]:
    def names() -> list[str]:
        cron = space.get(KIND, "cron")
        found = [one["name"] for one in cron["status"].get("active", ())]
        assert len(found) == number
        return found

    found: list[str] = space.wait(names)
    return found


@row("CronJob should schedule multiple jobs concurrently")
def test_jobs_overlap_where_that_is_allowed(space: Space):
    space.create(cron("cron", schedule="*/1 * * * ?"))
    [first] = space.wait(lambda: active(space, 1), 75)
    come_due(space, 2)
    assert first in active(space, 2)
    # A Job with its name is the minute's: it is not made twice.
    [scheduled] = {
        one["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"][-4:]
        for one in space.list(JOB)
    }
    assert scheduled == ":00Z"
    assert {one["metadata"]["ownerReferences"][0]["name"] for one in space.list(JOB)} == {"cron"}


@row("CronJob should not schedule jobs when suspended")
def test_a_suspended_one_makes_no_jobs(space: Space):
    space.create(cron("cron", suspend=True))
    come_due(space, 2)
    space.stays(lambda: not space.list(JOB) and not space.get(KIND, "cron")["status"].get("active"), 1)
    space.patch(KIND, "cron", {"spec": {"suspend": False}})
    active(space, 1)


@row("CronJob should not schedule new jobs when ForbidConcurrent")
def test_a_running_job_forbids_the_next(space: Space):
    space.create(cron("cron", "Forbid"))
    come_due(space, 4)
    [first] = active(space, 1)
    come_due(space, 2)
    space.wait(lambda: [one for one in space.events("cron") if one["reason"] == "JobAlreadyActive"])
    assert [one["metadata"]["name"] for one in space.list(JOB)] == [first]


@row("CronJob should replace jobs when ReplaceConcurrent")
def test_a_running_job_is_replaced_by_the_next(space: Space):
    space.create(cron("cron", "Replace"))
    come_due(space, 4)
    [first] = active(space, 1)
    come_due(space, 2)
    [second] = space.wait(lambda: (now := active(space, 1)) != [first] and now)
    space.wait(lambda: [one["metadata"]["name"] for one in space.list(JOB)] == [second])


@row("CronJob should support CronJob API operations")
def test_all_verbs(space: Space):
    check_discovery(space, "batch", "v1", "cronjobs", "cronjobs/status")
    left = check_verbs(space, cron)
    name = left["metadata"]["name"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"lastScheduleTime": now}}
    patched = space.patch(KIND, name, patch, type=MERGE, sub="status")
    assert (patched["status"]["lastScheduleTime"], patched["metadata"]["annotations"]["patchedstatus"]) == (
        now,
        "true",
    )

    def put() -> Obj:
        fresh = space.get(KIND, name)
        fresh["status"]["lastScheduleTime"] = "2026-02-02T00:00:00Z"
        return space.update(fresh, sub="status")

    assert space.wait(put)["status"]["lastScheduleTime"] == "2026-02-02T00:00:00Z"
    assert space.get(KIND, name, sub="status")["metadata"]["uid"] == left["metadata"]["uid"]


def test_finished_jobs_are_kept_as_far_as_the_limits_say(space: Space):
    space.create(cron("cron", script="exit 0", successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0))
    for minutes in (6, 4):
        come_due(space, minutes)
        space.wait(lambda: (now := space.list(JOB)) and condition(now[-1], "Complete") == "True")
    [_left] = space.wait(lambda: len(now := space.list(JOB)) == 1 and condition(now[0], "Complete") and now)
    space.wait(lambda: not space.get(KIND, "cron")["status"].get("active"))
    assert "SawCompletedJob" in {one["reason"] for one in space.events("cron")}
    assert space.get(KIND, "cron")["status"]["lastSuccessfulTime"]


def test_a_schedule_in_a_time_zone_and_one_that_cannot_be_read(space: Space):
    space.create(cron("cron", schedule="30 3 1 1 *", timeZone="Europe/Zurich"))
    refused = space.ask("POST", KIND, body=cron("bad", timeZone="Mars/Olympus")).refused(422, "Invalid")
    assert refused == (
        'CronJob.batch "bad" is invalid: spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'
    )
    refused = space.ask("POST", KIND, body=cron("bad", schedule="TZ=UTC 0 * * * *")).refused(422, "Invalid")
    assert "cannot use TZ or CRON_TZ in schedule, use timeZone field instead" in refused
