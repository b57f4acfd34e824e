"""What a Job's pod failure policy and success policy say, purely. Rules: job/pod_failure_policy.go."""

from __future__ import annotations

from collections.abc import Set

import msgspec

from minikube.api.batch_v1 import Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule
from minikube.api.core_v1 import Pod
from minikube.controllers.job_pods import parse_indexes


class Match(msgspec.Struct, frozen=True):
    """The first rule that speaks of a failed pod: Ignore, FailJob, FailIndex or Count."""

    action: str
    why: str


def failure_match(job: Job, pod: Pod) -> Match | None:
    rules = job.spec.pod_failure_policy.rules if job.spec.pod_failure_policy else ()
    for index, rule in enumerate(rules):
        why = _exit_code(rule.on_exit_codes, pod) if rule.on_exit_codes is not None else _condition(rule, pod)
        if why:
            return Match(rule.action, f"{why} matching {rule.action} rule at index {index}")
    return None


def failure_action(job: Job, pod: Pod) -> str:
    found = failure_match(job, pod)
    return found.action if found is not None else "Count"


def _exit_code(wanted: PodFailurePolicyOnExitCodesRequirement, pod: Pod) -> str:
    for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
        terminated = status.state.terminated if status.state else None
        if terminated is None or terminated.exit_code == 0:
            continue
        if wanted.container_name and wanted.container_name != status.name:
            continue
        if (terminated.exit_code in wanted.values) is (wanted.operator == "In"):
            where = f"{pod.metadata.namespace}/{pod.metadata.name}"
            return f"Container {status.name} for pod {where} failed with exit code {terminated.exit_code}"
    return ""


def _condition(rule: PodFailurePolicyRule, pod: Pod) -> str:
    for wanted in rule.on_pod_conditions:
        if any(
            one.type == wanted.type and one.status == (wanted.status or "True") for one in pod.status.conditions
        ):
            return f"Pod {pod.metadata.namespace}/{pod.metadata.name} has condition {wanted.type}"
    return ""


def success_rule(job: Job, completed: Set[int]) -> int | None:
    """The index of the first success rule that is met."""
    for number, rule in enumerate(job.spec.success_policy.rules if job.spec.success_policy else ()):
        of = completed
        if rule.succeeded_indexes:
            of = parse_indexes(rule.succeeded_indexes)
        met = len(completed & of)
        wanted = len(of) if rule.succeeded_count is None else rule.succeeded_count
        if met and met >= wanted:
            return number
    return None
