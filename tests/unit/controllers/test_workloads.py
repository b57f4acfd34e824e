"""StatefulSet, DaemonSet, Job and CronJob over a real registry in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from minikube.api.apps_v1 import (
    DaemonSet,
    DaemonSetSpec,
    StatefulSet,
    StatefulSetSpec,
)
from minikube.api.batch_v1 import CronJob, CronJobSpec, CronJobStatus, Job, JobSpec, JobTemplateSpec
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers.cronjob import CronJobController, ScheduleError, due
from minikube.controllers.daemonset import DaemonSetController, node_of
from minikube.controllers.job import JobController
from minikube.controllers.job_plan import ended
from minikube.controllers.job_pods import indexes_text, parse_indexes
from minikube.controllers.statefulset import StatefulSetController
from tests.fakes.cluster import Cluster, template

WEB = Key("default", "web")
META = ObjectMeta(name="web", namespace="default")
SELECTOR = LabelSelector(match_labels={"app": "web"})


async def test_a_stateful_set_starts_pods_in_order_and_updates_them_from_the_last() -> None:
    cluster = await Cluster.open()
    controller = StatefulSetController(cluster.context())
    spec = StatefulSetSpec(replicas=2, selector=SELECTOR, template=template(), service_name="web")
    await cluster.client.create(StatefulSet(metadata=META, spec=spec))
    await cluster.settle(controller, WEB)
    assert [pod.metadata.name for pod in await cluster.pods()] == ["web-0"]
    await cluster.everything_runs()
    await cluster.settle(controller, WEB)
    await cluster.everything_runs()
    await cluster.settle(controller, WEB)
    first, second = await cluster.pods()
    assert (first.metadata.name, second.metadata.name) == ("web-0", "web-1")
    assert first.spec.hostname == "web-0"
    found = await cluster.client.get(StatefulSet, "web", "default")
    assert (found.status.ready_replicas, found.status.current_revision) == (2, found.status.update_revision)

    await cluster.client.update(
        msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, template=template("nginx:2")))
    )
    await cluster.settle(controller, WEB)
    assert [pod.spec.containers[0].image for pod in await cluster.pods()] == ["nginx", "nginx:2"]
    for _ in range(5):
        await cluster.everything_runs()
        await cluster.settle(controller, WEB)
    assert [pod.spec.containers[0].image for pod in await cluster.pods()] == ["nginx:2", "nginx:2"]
    found = await cluster.client.get(StatefulSet, "web", "default")
    assert found.status.current_revision == found.status.update_revision
    assert ("SuccessfulCreate", "create Pod web-0 in StatefulSet web successful") in cluster.told.events


async def test_a_daemon_set_has_one_pod_on_each_node_and_replaces_one_at_a_time() -> None:
    cluster = await Cluster.open()
    for name in ("n1", "n2"):
        await cluster.node(name)
    controller = DaemonSetController(cluster.context())
    ds = DaemonSet(metadata=META, spec=DaemonSetSpec(selector=SELECTOR, template=template()))
    await cluster.client.create(ds)
    await cluster.settle(controller, WEB)
    assert sorted(node_of(pod) for pod in await cluster.pods()) == ["n1", "n2"]
    await cluster.everything_runs()
    await cluster.settle(controller, WEB)
    found = await cluster.client.get(DaemonSet, "web", "default")
    assert (found.status.desired_number_scheduled, found.status.number_ready) == (2, 2)

    await cluster.client.update(
        msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, template=template("nginx:2")))
    )
    await cluster.settle(controller, WEB)
    images = [pod.spec.containers[0].image for pod in await cluster.pods()]
    assert sorted(images) == ["nginx", "nginx:2"]
    for _ in range(4):
        await cluster.everything_runs()
        await cluster.settle(controller, WEB)
    assert {pod.spec.containers[0].image for pod in await cluster.pods()} == {"nginx:2"}


@pytest.mark.parametrize("mode", ["NonIndexed", "Indexed"])
async def test_a_job_counts_each_success_once_and_completes(mode: str) -> None:
    cluster = await Cluster.open()
    controller = JobController(cluster.context())
    spec = JobSpec(completions=3, parallelism=2, completion_mode=mode, template=template(restart_policy="Never"))
    await cluster.client.create(Job(metadata=META, spec=spec))
    for _ in range(4):
        await cluster.settle(controller, WEB)
        for pod in await cluster.pods():
            if pod.status.phase in ("", "Pending"):
                await cluster.phase(pod, "Succeeded")
    await cluster.settle(controller, WEB)
    found = await cluster.client.get(Job, "web", "default")
    over = ended(found)
    assert over is not None
    assert over.type == "Complete"
    assert (found.status.succeeded, found.status.active, len(await cluster.pods())) == (3, None, 3)
    assert found.status.completed_indexes == ("0-2" if mode == "Indexed" else "")
    assert all(not pod.metadata.finalizers for pod in await cluster.pods())


async def test_a_job_gives_up_after_its_backoff_limit_and_waits_between_failures() -> None:
    cluster = await Cluster.open()
    controller = JobController(cluster.context())
    spec = JobSpec(backoff_limit=1, completions=1, parallelism=1, template=template(restart_policy="Never"))
    await cluster.client.create(Job(metadata=META, spec=spec))
    await cluster.settle(controller, WEB)
    for _ in range(2):
        for pod in await cluster.pods():
            await cluster.phase(pod, "Failed")
        after = await cluster.settle(controller, WEB)
        if after is not None:
            await cluster.clock.sleep(after.seconds + 1)
            await cluster.settle(controller, WEB)
    over = ended(await cluster.client.get(Job, "web", "default"))
    assert over is not None
    assert (over.type, over.reason) == ("Failed", "BackoffLimitExceeded")


def test_indexes_are_written_as_ranges() -> None:
    assert indexes_text({0, 1, 3, 4, 5, 9}) == "0,1,3-5,9"
    assert parse_indexes("0,1,3-5,9") == {0, 1, 3, 4, 5, 9}


async def test_a_cron_job_makes_up_for_the_latest_missed_time_only() -> None:
    cluster = await Cluster.open()
    controller = CronJobController(cluster.context())
    job = JobTemplateSpec(spec=JobSpec(template=template(restart_policy="Never")))
    cron = CronJob(metadata=META, spec=CronJobSpec(schedule="*/5 * * * *", job_template=job))
    await cluster.client.create(cron)
    await cluster.clock.sleep(1800)
    after = await cluster.settle(controller, WEB)
    made = (await cluster.client.list(Job, "default")).items
    assert len(made) == 1
    assert made[0].metadata.name.startswith("web-")
    assert after is not None
    assert 0 < after.seconds <= 301
    found = await cluster.client.get(CronJob, "web", "default")
    assert [one.name for one in found.status.active] == [made[0].metadata.name]


NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "missed", "coming"),
    [
        ("30 * * * *", "", None, NOON + timedelta(minutes=30)),
        ("@hourly", "", NOON, NOON + timedelta(hours=1)),
        ("0 13 * * *", "Europe/Berlin", NOON, NOON + timedelta(days=1)),
    ],
)
def test_a_schedule_says_what_was_missed_and_what_comes(
    schedule: str, zone: str, missed: datetime | None, coming: datetime
) -> None:
    cron = CronJob(
        spec=CronJobSpec(schedule=schedule, time_zone=zone),
        status=CronJobStatus(last_schedule_time=NOON - timedelta(minutes=20)),
    )
    assert (due(cron, NOON).missed, due(cron, NOON).next) == (missed, coming)


def test_a_bad_schedule_is_told() -> None:
    with pytest.raises(ScheduleError):
        due(CronJob(spec=CronJobSpec(schedule="never")), NOON)


def test_a_schedule_that_was_suspended_for_years_is_read_at_once() -> None:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    now = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
    cron = CronJob(
        metadata=META, spec=CronJobSpec(schedule="* * * * *"), status=CronJobStatus(last_schedule_time=long_ago)
    )
    found = due(cron, now)
    assert (found.missed, found.next) == (now.replace(second=0), now.replace(minute=1, second=0))
    assert found.too_many


def test_a_time_that_has_just_come_is_due() -> None:
    now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    cron = CronJob(
        metadata=META,
        spec=CronJobSpec(schedule="0 * * * *", time_zone="Europe/Berlin"),
        status=CronJobStatus(last_schedule_time=now - timedelta(hours=1)),
    )
    assert due(cron, now).missed == now
    assert due(cron, now - timedelta(seconds=1)).missed is None


def test_a_time_zone_that_is_none_is_named() -> None:
    cron = CronJob(metadata=META, spec=CronJobSpec(schedule="* * * * *", time_zone="Mars/Olympus"))
    with pytest.raises(ScheduleError, match='invalid timeZone: "Mars/Olympus"'):
        due(cron, datetime(2026, 1, 1, tzinfo=UTC))
