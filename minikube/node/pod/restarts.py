"""Whether and when a container that has ended runs again: restart policy, its rules, crash loop back-off. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import ContainerRestartRule, Pod
from minikube.node.pod.observed import Observed
from minikube.node.pod.pods import containers_of, is_ephemeral, is_init, is_sidecar
from minikube.node.runtime.base import Container, State

BACKOFF_BASE, BACKOFF_LIMIT = 10.0, 300.0
FORGIVEN_AFTER = 600.0
"""A container that ran this long starts again without waiting."""

RESTART_ALL = "RestartAllContainers"
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


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


def could_restart_all(pod: Pod) -> bool:
    """Whether the exit of some container may start all of them anew (podutil.AllContainersCouldRestart)."""
    return any(rule.action == RESTART_ALL for each in containers_of(pod) for rule in each.restart_policy_rules)


def renewed(pod: Pod, containers: Iterable[Container]) -> frozenset[str]:
    """Ids of the runs that a RestartAllContainers rule is over: all that were made before the last exit that it
    holds for. While they are the latest of their containers they end, if they run, and are followed by another run.
    """
    if not could_restart_all(pod):
        return frozenset()
    runs = [each for each in containers if not is_ephemeral(pod, each.name)]
    by_name = {each.name: each for each in containers_of(pod)}
    last = BEFORE_ALL
    for run in runs:
        wanted = by_name.get(run.name)
        if wanted is None or run.state is not State.EXITED or run.finished_at is None:
            continue
        rule = matching_rule(wanted, run.exit_code)
        if rule is not None and rule.action == RESTART_ALL:
            last = max(last, run.finished_at)
    return frozenset(each.id for each in runs if (each.created_at or each.started_at or BEFORE_ALL) < last)


def runs_again(pod: Pod, wanted: Wanted, latest: Container, observed: Observed) -> bool:
    """Whether this container, which has ended, is to be followed by another run, whoever ended it."""
    return latest.id in observed.renewed or latest.id in observed.followed or restarts(pod, wanted, latest)


def tries_again(pod: Pod, wanted: Wanted) -> bool:
    """Whether a container that fails a probe is ended for another run. No exit code has a part in it, for there is
    none yet (computePodActions of kuberuntime)."""
    policy = wanted.restart_policy or pod.spec.restart_policy
    return policy != "Never"


def next_delay(delay: float, latest: Container, limit: float = BACKOFF_LIMIT) -> float:
    """The back-off after one more restart: 10, 20 … `limit` s; a long run forgives what was before."""
    return min(limit, BACKOFF_BASE if not delay or forgiven(latest) else delay * 2)


def backoff_left(latest: Container, delay: float, now: datetime) -> float:
    """Seconds until it may start again; `delay` is what `next_delay` gave at its last start, 0 the first time."""
    if latest.finished_at is None or not delay or forgiven(latest):
        return 0.0
    return (latest.finished_at + timedelta(seconds=delay) - now).total_seconds()


def wait_left(latest: Container, observed: Observed, now: datetime) -> float:
    """Seconds until a container that has ended may start again. After a run that we ended for another to follow,
    it is none if the end of the one before was long enough ago by then (doBackOff of kuberuntime sees no other).
    """
    delay = observed.delays.get(latest.name, 0.0)
    if latest.id in observed.followed and latest.finished_at is not None:
        earlier = observed.previous(latest.name)
        if earlier is None or backoff_left(earlier, delay, latest.finished_at) <= 0:
            return 0.0
    return backoff_left(latest, delay, now)


def forgiven(latest: Container) -> bool:
    if latest.started_at is None or latest.finished_at is None:
        return False
    return (latest.finished_at - latest.started_at).total_seconds() >= FORGIVEN_AFTER
