"""How jobs and cron jobs begin and change (ValidateJob, ValidateCronJob, the job strategy's generated selector)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from minikube.api.batch_v1 import CronJob, Job, JobSpec, PodFailurePolicy, PodFailurePolicyRule
from minikube.api.core_v1 import PodSpec
from minikube.api.cron import parse
from minikube.api.names import qualified_name_problems, subdomain_problems
from minikube.api.selectors import matches
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.invalid import (
    at,
    immutable,
    invalid,
    not_negative,
    not_supported,
    one_of,
    required,
)
from minikube.resources.rules.labelling import label_selector, template_metadata
from minikube.resources.rules.podspec import pod_template
from minikube.resources.warnings.common import changed, pod_name_warnings
from minikube.resources.warnings.pod import template_warnings
from minikube.schema.builtin_defaults import labelled_from_template

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_MOST_INDEXES, _MOST_PARALLEL = 100_000, 100_000
_MANY_INDEXES, _MANY_PARALLEL = 100_000, 10_000


class JobRules(Strategy[Job]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}
        spec = new.get("spec")
        if isinstance(spec, dict) and not spec.get("manualSelector"):
            _generate_selector(spec, new["metadata"])
        labelled_from_template(new)

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        """A client that applies its own file again does not mean to take the generated selector away."""
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        if spec.get("manualSelector"):
            return
        if "selector" not in spec and "selector" in before:
            spec["selector"] = before["selector"]

    def validate(self, new: Job, old: Job | None) -> Iterator[FieldError]:
        spec = new.spec
        if spec.selector is None:
            yield required("spec.selector")
        else:
            yield from label_selector(spec.selector, "spec.selector")
            if not matches(spec.selector, spec.template.metadata.labels):
                yield invalid(
                    "spec.template.metadata.labels",
                    spec.template.metadata.labels,
                    "`selector` does not match template `labels`",
                )
        yield from job_spec(spec, "spec")
        if old is not None:
            yield from _job_update(new, old)

    def warnings(self, new: Job, old: Job | None) -> Iterator[str]:
        if old is None:
            yield from pod_name_warnings(new.metadata.name)
        if changed(new, old):
            yield from _job_warnings(new.spec, "spec")

    def validate_status(self, new: Job, old: Job) -> Iterator[FieldError]:
        status = new.status
        for name, count in (
            ("active", status.active),
            ("succeeded", status.succeeded),
            ("failed", status.failed),
            ("ready", status.ready),
            ("terminating", status.terminating),
        ):
            yield from not_negative(f"status.{name}", count)

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"status.successful": str(obj.status.succeeded or 0)}


def _generate_selector(spec: Obj, metadata: ReadOnlyObj) -> None:
    """Labels that only this job's pods have, and the selector for them (registry/batch/job generateSelector)."""
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    if uid:
        for label, value in (
            ("controller-uid", uid), ("job-name", name), (CONTROLLER_UID, uid), (JOB_NAME, name),
        ):  # fmt: skip
            labels.setdefault(label, value)
        spec.setdefault("selector", {}).setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid)


def job_spec(spec: JobSpec, path: str) -> Iterator[FieldError]:
    """Everything but the selector."""
    for name, value in (
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ):
        yield from not_negative(f"{path}.{name}", value)
    yield from _indexed(spec, path)
    if spec.managed_by:
        for why in _managed_by_problems(spec.managed_by):
            yield invalid(f"{path}.managedBy", spec.managed_by, why)
    policies = ("Failed", "TerminatingOrFailed")
    if spec.pod_replacement_policy and spec.pod_replacement_policy not in policies:
        yield not_supported(f"{path}.podReplacementPolicy", spec.pod_replacement_policy, policies)
    if spec.pod_failure_policy is not None:
        yield from _failure_policy(spec, spec.pod_failure_policy, f"{path}.podFailurePolicy")
    if spec.success_policy is not None:
        if spec.completion_mode != "Indexed":
            why = "requires indexed completion mode"
            yield invalid(f"{path}.successPolicy", spec.success_policy, why)
        if not spec.success_policy.rules:
            yield required(
                f"{path}.successPolicy.rules",
                "at least one rules must be specified when the successPolicy is specified",
            )
    yield from pod_template(spec.template, f"{path}.template")
    if spec.template.spec.restart_policy == "Always":
        yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    if spec.pod_failure_policy is not None and spec.template.spec.restart_policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid(f"{path}.template.spec.restartPolicy", spec.template.spec.restart_policy, why)


def _managed_by_problems(name: str) -> Iterator[str]:
    if "/" not in name:
        yield 'must be a domain-prefixed path (such as "acme.io/foo")'
    if len(name) > 63:
        yield "may not be more than 63 bytes"
    yield from qualified_name_problems(name)


def _indexed(spec: JobSpec, path: str) -> Iterator[FieldError]:
    modes = ("Indexed", "NonIndexed")
    if spec.completion_mode and spec.completion_mode not in modes:
        yield not_supported(f"{path}.completionMode", spec.completion_mode, modes)
    if spec.completion_mode == "Indexed":
        if spec.completions is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        elif spec.completions > _MOST_INDEXES and spec.backoff_limit_per_index is not None:
            why = f"must be less than or equal to {_MOST_INDEXES} when backoffLimitPerIndex is set"
            yield invalid(f"{path}.completions", spec.completions, why)
        if spec.parallelism is not None and spec.parallelism > _MOST_PARALLEL:
            why = f"must be less than or equal to {_MOST_PARALLEL} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", spec.parallelism, why)
    elif spec.backoff_limit_per_index is not None:
        why = "requires indexed completion mode"
        yield invalid(f"{path}.backoffLimitPerIndex", spec.backoff_limit_per_index, why)
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if spec.max_failed_indexes is not None and spec.max_failed_indexes > (spec.completions or 0):
        why = "must be less than or equal to completions"
        yield invalid(f"{path}.maxFailedIndexes", spec.max_failed_indexes, why)


def _failure_policy(spec: JobSpec, policy: PodFailurePolicy, path: str) -> Iterator[FieldError]:
    names = {one.name for one in (*spec.template.spec.containers, *spec.template.spec.init_containers)}
    for index, rule in enumerate(policy.rules):
        yield from _failure_rule(rule, spec, names, at(f"{path}.rules", index))


def _failure_rule(rule: PodFailurePolicyRule, spec: JobSpec, names: set[str], path: str) -> Iterator[FieldError]:
    yield from one_of(f"{path}.action", rule.action, ("Count", "FailIndex", "FailJob", "Ignore"))
    if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
        yield invalid(f"{path}.action", rule.action, "requires the backoffLimitPerIndex to be set")
    codes = rule.on_exit_codes
    if codes is not None:
        where = f"{path}.onExitCodes"
        if codes.container_name and codes.container_name not in names:
            why = "must be one of the container or initContainer names in the pod template"
            yield invalid(f"{where}.containerName", codes.container_name, why)
        yield from one_of(f"{where}.operator", codes.operator, ("In", "NotIn"))
        if not codes.values:
            yield invalid(f"{where}.values", codes.values, "at least one value is required")
        for index, value in enumerate(codes.values):
            if value == 0 and codes.operator == "In":
                yield invalid(at(f"{where}.values", index), value, "must not be 0 for the In operator")
        if list(codes.values) != sorted(set(codes.values)):
            yield invalid(f"{where}.values", codes.values, "must be ordered")
    if codes is not None and rule.on_pod_conditions:
        yield invalid(path, rule, "specifying both OnExitCodes and OnPodConditions is not supported")
    elif codes is None and not rule.on_pod_conditions:
        yield invalid(path, rule, "specifying one of OnExitCodes and OnPodConditions is required")
    for index, one in enumerate(rule.on_pod_conditions):
        where = at(f"{path}.onPodConditions", index)
        for why in qualified_name_problems(one.type):
            yield invalid(f"{where}.type", one.type, why)
        yield from one_of(f"{where}.status", one.status, ("False", "True", "Unknown"))


def _job_update(new: Job, old: Job) -> Iterator[FieldError]:
    now_, before = new.spec, old.spec
    elastic = (
        now_.completion_mode == "Indexed"
        and now_.completions == now_.parallelism
        and before.completions == before.parallelism
    )
    if now_.completions != before.completions and not elastic:
        yield invalid("spec.completions", now_.completions, "field is immutable")
    yield from immutable("spec.selector", now_.selector, before.selector)
    yield from immutable("spec.completionMode", now_.completion_mode, before.completion_mode)
    yield from immutable("spec.podFailurePolicy", now_.pod_failure_policy, before.pod_failure_policy)
    yield from immutable("spec.backoffLimitPerIndex", now_.backoff_limit_per_index, before.backoff_limit_per_index)
    yield from immutable("spec.managedBy", now_.managed_by, before.managed_by)
    yield from immutable("spec.successPolicy", now_.success_policy, before.success_policy)
    old_template = before.template
    if before.suspend and old.status.start_time is None:
        old_template = replace(
            old_template,
            metadata=now_.template.metadata,
            spec=_with_directives(old_template.spec, now_.template.spec),
        )
    yield from immutable("spec.template", now_.template, old_template)


def _with_directives(old: PodSpec, new: PodSpec) -> PodSpec:
    """A job that has not started may still be told where to run, and with how much."""
    containers = old.containers
    if len(new.containers) == len(containers):
        containers = tuple(
            replace(was, resources=one.resources) for was, one in zip(containers, new.containers, strict=True)
        )
    return replace(
        old,
        affinity=new.affinity,
        node_selector=new.node_selector,
        tolerations=new.tolerations,
        scheduling_gates=new.scheduling_gates,
        containers=containers,
    )


class CronJobRules(Strategy[CronJob]):
    def name_problems(self, name: str) -> Iterator[str]:
        if len(name) > 52:
            yield "must be no more than 52 characters"
        yield from subdomain_problems(name)

    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: CronJob, old: CronJob | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from _schedule(spec.schedule, spec.time_zone, "spec.schedule")
        if spec.time_zone:
            yield from _time_zone(spec.time_zone, "spec.timeZone")
        yield from not_negative("spec.startingDeadlineSeconds", spec.starting_deadline_seconds)
        yield from not_negative("spec.successfulJobsHistoryLimit", spec.successful_jobs_history_limit)
        yield from not_negative("spec.failedJobsHistoryLimit", spec.failed_jobs_history_limit)
        yield from one_of("spec.concurrencyPolicy", spec.concurrency_policy, ("Allow", "Forbid", "Replace"))
        path = "spec.jobTemplate"
        yield from template_metadata(spec.job_template.metadata, f"{path}.metadata")
        if spec.job_template.spec.manual_selector:
            allowed = ("nil", "false")
            yield not_supported(f"{path}.spec.manualSelector", spec.job_template.spec.manual_selector, allowed)
        if spec.job_template.spec.selector is not None:
            yield invalid(
                f"{path}.spec.selector", spec.job_template.spec.selector, "`selector` will be auto-generated"
            )
        yield from job_spec(spec.job_template.spec, f"{path}.spec")

    def warnings(self, new: CronJob, old: CronJob | None) -> Iterator[str]:
        if old is None:
            yield from pod_name_warnings(new.metadata.name)
        if changed(new, old):
            yield from _job_warnings(new.spec.job_template.spec, "spec.jobTemplate.spec")


def _job_warnings(spec: JobSpec, path: str) -> Iterator[str]:
    """pkg/api/job/warnings.go."""
    many = (spec.completions or 0) > _MANY_INDEXES and (spec.parallelism or 0) > _MANY_PARALLEL
    if spec.completion_mode == "Indexed" and many:
        yield (
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than "
            "10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    yield from template_warnings(spec.template, f"{path}.template")


def _schedule(schedule: str, time_zone: str, path: str) -> Iterator[FieldError]:
    if not schedule:
        yield required(path)
        return
    if "TZ" in schedule:
        yield invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        return
    try:
        parse(schedule)
    except ValueError as error:
        yield invalid(path, schedule, str(error))


def _time_zone(name: str, path: str) -> Iterator[FieldError]:
    if name.lower() == "local":
        yield invalid(
            path, name, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield invalid(path, name, f"unknown time zone {name}")
