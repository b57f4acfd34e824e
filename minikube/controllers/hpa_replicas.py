"""How many replicas a resource metric calls for, purely. Rules: podautoscaler/replica_calculator.go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from minikube.api import quantity
from minikube.api.core_v1 import Container, Pod
from minikube.controllers import pods as of_pods

TOLERANCE = 0.1
"""So far from 1 a ratio may be without anything being done."""
STARTING = timedelta(minutes=5)
"""--horizontal-pod-autoscaler-cpu-initialization-period"""
READY_DELAY = timedelta(seconds=30)
"""--horizontal-pod-autoscaler-initial-readiness-delay"""


class NoMetrics(Exception):
    """The count cannot be computed; the message says why."""


class Sample(msgspec.Struct, frozen=True):
    """What a pod (or one of its containers) uses, cpu in millicores, others in base units."""

    value: int
    at: datetime
    window: timedelta = timedelta(seconds=30)


class Counted(msgspec.Struct, frozen=True):
    """`utilization` in percent of the requests, or None when the target is an average value; `average` per pod."""

    replicas: int
    average: int
    utilization: int | None = None


class Groups(msgspec.Struct, frozen=True):
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def group(pods: Sequence[Pod], samples: Mapping[str, Sample], resource: str, now: datetime) -> Groups:
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp is not None or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif name not in samples:
            missing.add(name)
        elif resource == "cpu" and _starting(pod, samples[name], now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _starting(pod: Pod, sample: Sample, now: datetime) -> bool:
    """Its cpu says nothing yet about the load."""
    since = of_pods.ready_since(pod)
    started = pod.status.start_time
    if since is None or started is None:
        return True
    is_ready = of_pods.ready(pod)
    if started + STARTING > now:
        return not is_ready or sample.at < since + sample.window
    return not is_ready and started + READY_DELAY > since


def requests_of(pods: Sequence[Pod], container: str, resource: str) -> Mapping[str, int]:
    """By pod. Raises NoMetrics when a container asks for nothing of it."""
    found: dict[str, int] = {}
    for pod in pods:
        sidecars = (one for one in pod.spec.init_containers if one.restart_policy == "Always")
        for one in (*pod.spec.containers, *sidecars):
            if container and one.name != container:
                continue
            asked = _asked(one, resource)
            if asked is None:
                raise NoMetrics(
                    f"missing request for {resource} in container {one.name} of Pod {pod.metadata.name}"
                )
            found[pod.metadata.name] = found.get(pod.metadata.name, 0) + asked
    return found


def _asked(container: Container, resource: str) -> int | None:
    requests = container.resources.requests if container.resources is not None else {}
    if resource not in requests:
        return None
    return quantity.milli_value(requests[resource]) if resource == "cpu" else quantity.value(requests[resource])


def by_utilization(
    current: int,
    target: int,
    pods: Sequence[Pod],
    samples: Mapping[str, Sample],
    requests: Mapping[str, int],
    resource: str,
    now: datetime,
) -> Counted:
    """`target` in percent of the requests. Raises NoMetrics."""
    groups, used = _measured(pods, samples, resource, now)
    ratio, utilization, average = _utilization(used, requests, target)

    def again(assumed: Mapping[str, int]) -> float:
        return _utilization(assumed, requests, target)[0]

    fallback = max(100, target)
    full = {name: fallback * requests.get(name, 0) // 100 for name in groups.missing}
    return Counted(_replicas(current, ratio, groups, used, full, again), average, utilization)


def by_value(
    current: int, target: int, pods: Sequence[Pod], samples: Mapping[str, Sample], resource: str, now: datetime
) -> Counted:
    """`target` per pod in the samples' unit. Raises NoMetrics."""
    groups, used = _measured(pods, samples, resource, now)
    average = sum(used.values()) // len(used)
    full = dict.fromkeys(groups.missing, target)

    def again(assumed: Mapping[str, int]) -> float:
        return sum(assumed.values()) / len(assumed) / target

    return Counted(_replicas(current, again(used), groups, used, full, again), average)


def _measured(
    pods: Sequence[Pod], samples: Mapping[str, Sample], resource: str, now: datetime
) -> tuple[Groups, dict[str, int]]:
    if not pods:
        raise NoMetrics("no pods returned by selector while calculating replica count")
    groups = group(pods, samples, resource, now)
    names = {pod.metadata.name for pod in pods} - groups.ignored - groups.unready
    used = {name: sample.value for name, sample in samples.items() if name in names}
    if not used:
        raise NoMetrics("did not receive metrics for targeted pods (pods might be unready)")
    return groups, used


def _utilization(used: Mapping[str, int], requests: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """(ratio to the target, percent, average)"""
    known = {name: value for name, value in used.items() if name in requests}
    total = sum(requests[name] for name in known)
    if not total:
        raise NoMetrics("no metrics returned matched known pods")
    percent = sum(known.values()) * 100 // total
    return percent / target, percent, sum(known.values()) // len(known)


def _replicas(
    current: int,
    ratio: float,
    groups: Groups,
    used: Mapping[str, int],
    full: Mapping[str, int],
    again: object,
) -> int:
    """Pods without a figure count so that they damp the change: full when shrinking, idle when growing."""
    assert callable(again)
    growing_unready = bool(groups.unready) and ratio > 1.0
    if not growing_unready and not groups.missing:
        return current if _near(ratio) else math.ceil(ratio * groups.ready)
    assumed = dict(used)
    if ratio < 1.0:
        assumed.update(full)
    elif ratio > 1.0:
        assumed.update(dict.fromkeys(groups.missing, 0))
    if growing_unready:
        assumed.update(dict.fromkeys(groups.unready, 0))
    damped: float = again(assumed)
    if _near(damped) or (ratio < 1.0 < damped) or (damped < 1.0 < ratio):
        return current
    wanted = math.ceil(damped * len(assumed))
    if (damped < 1.0 and wanted > current) or (damped > 1.0 and wanted < current):
        return current
    return wanted


def _near(ratio: float) -> bool:
    return abs(1.0 - ratio) <= TOLERANCE
