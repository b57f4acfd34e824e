"""Whether and when a container that has ended runs again: restart policy, its rules, crash loop back-off. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerRestartRule, Pod
from minikube.node.pod.pods import is_ephemeral, is_init, is_sidecar
from minikube.node.runtime.base import Container

BACKOFF_BASE, BACKOFF_LIMIT = 10.0, 300.0
FORGIVEN_AFTER = 600.0
"""A container that ran this long starts again without waiting."""


def restarts(pod: Pod, wanted: Wanted, latest: Container) -> bool:
    """Whether this exited container is to run again (podutil.ContainerShouldRestart)."""
    if is_ephemeral(pod, wanted.name):
        return False
    code = latest.exit_code
    once = is_init(pod, wanted.name) and not is_sidecar(pod, wanted.name)
    if once and code == 0:
        return False
    if wanted.restart_policy:
        if matching_rule(wanted, code) is not None:
            return True
        policy = wanted.restart_policy
    else:
        policy = pod.spec.restart_policy or "Always"
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def matching_rule(wanted: Wanted, code: int) -> ContainerRestartRule | None:
    """The first restart rule whose exit codes hold."""
    for rule in wanted.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (code in codes.values) == (codes.operator == "In"):
            return rule
    return None


def tries_again(pod: Pod) -> bool:
    """Whether containers killed by a probe may come back (kuberuntime shouldRestartOnFailure)."""
    return pod.spec.restart_policy != "Never"


def next_delay(delay: float, latest: Container) -> float:
    """The back-off after one more restart: 10, 20 … 300 s; a long run forgives what was before."""
    return BACKOFF_BASE if not delay or forgiven(latest) else min(BACKOFF_LIMIT, delay * 2)


def backoff_left(latest: Container, delay: float, now: datetime) -> float:
    """Seconds until it may start again; `delay` is what `next_delay` gave at its last start, 0 the first time."""
    if latest.finished_at is None or not delay or forgiven(latest):
        return 0.0
    return (latest.finished_at + timedelta(seconds=delay) - now).total_seconds()


def forgiven(latest: Container) -> bool:
    if latest.started_at is None or latest.finished_at is None:
        return False
    return (latest.finished_at - latest.started_at).total_seconds() >= FORGIVEN_AFTER
