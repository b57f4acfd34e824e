"""How fast an autoscaler may go where its metrics want it, purely. Rules: podautoscaler/horizontal.go."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from minikube.api.autoscaling_v2 import HorizontalPodAutoscaler, HPAScalingPolicy, HPAScalingRules

STABILIZATION = 300.0
"""Seconds for which less must have been called for (--horizontal-pod-autoscaler-downscale-stabilization)."""
UP = HPAScalingRules(
    stabilization_window_seconds=0,
    select_policy="Max",
    policies=(
        HPAScalingPolicy(type="Pods", value=4, period_seconds=15),
        HPAScalingPolicy(type="Percent", value=100, period_seconds=15),
    ),
)
DOWN = HPAScalingRules(
    stabilization_window_seconds=int(STABILIZATION),
    select_policy="Max",
    policies=(HPAScalingPolicy(type="Percent", value=100, period_seconds=15),),
)


class Past(msgspec.Struct):
    """What an autoscaler remembers: (when, count called for) and (when, change made), by the monotonic clock."""

    called: list[tuple[float, int]] = []
    changes: list[tuple[float, int]] = []


class Allowed(msgspec.Struct, frozen=True):
    """`stabilized`: more or less was called for a while ago; `limit`: why it is not as wanted (reason, message)."""

    replicas: int
    stabilized: str = ""
    limit: tuple[str, str] | None = None


def normalize(hpa: HorizontalPodAutoscaler, current: int, wanted: int, past: Past, now: float) -> Allowed:
    """Also remembers what was called for."""
    up, down = _rules(hpa)
    least = 1 if hpa.spec.min_replicas is None else hpa.spec.min_replicas
    steady, stabilized = _stabilize(current, wanted, up, down, past, now)
    past.called = [one for one in past.called if now - one[0] <= 3600]
    past.called.append((now, wanted))
    if steady > current:
        floor = current if hpa.spec.behavior is not None else 0
        fastest = max(floor, _fastest_up(hpa, current, up, past, now))
        limit = min(fastest, hpa.spec.max_replicas)
        if steady > limit:
            reason = "ScaleUpLimit" if limit == fastest and limit != hpa.spec.max_replicas else "TooManyReplicas"
            return Allowed(limit, stabilized, (reason, _WHY[reason]))
    elif steady < current:
        slowest = min(current, _fastest_down(current, down, past, now))
        limit = max(slowest, least)
        if steady < limit:
            reason = "ScaleDownLimit" if limit == slowest and limit != least else "TooFewReplicas"
            return Allowed(limit, stabilized, (reason, _WHY[reason]))
    return Allowed(steady, stabilized)


_WHY = {
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
}


def _rules(hpa: HorizontalPodAutoscaler) -> tuple[HPAScalingRules, HPAScalingRules]:
    behavior = hpa.spec.behavior
    up = _filled(behavior.scale_up if behavior else None, UP)
    return up, _filled(behavior.scale_down if behavior else None, DOWN)


def _filled(rules: HPAScalingRules | None, default: HPAScalingRules) -> HPAScalingRules:
    if rules is None:
        return default
    window = rules.stabilization_window_seconds
    return HPAScalingRules(
        stabilization_window_seconds=default.stabilization_window_seconds if window is None else window,
        select_policy=rules.select_policy or default.select_policy,
        policies=rules.policies or default.policies,
    )


def _stabilize(
    current: int, wanted: int, up: HPAScalingRules, down: HPAScalingRules, past: Past, now: float
) -> tuple[int, str]:
    """Up no higher than the least, down no lower than the most that was called for within the window."""
    lowest = min(
        [wanted, *(count for at, count in past.called if now - at <= (up.stabilization_window_seconds or 0))]
    )
    highest = max(
        [wanted, *(count for at, count in past.called if now - at <= (down.stabilization_window_seconds or 0))]
    )
    steady = min(max(current, lowest), highest)
    if steady == wanted:
        return steady, ""
    return steady, "ScaleUpStabilized" if steady < wanted else "ScaleDownStabilized"


def _fastest_up(hpa: HorizontalPodAutoscaler, current: int, rules: HPAScalingRules, past: Past, now: float) -> int:
    if hpa.spec.behavior is None:
        return max(2 * current, 4)
    if rules.select_policy == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = current - _changed(past.changes, policy, now, sign=1)
        step = policy.value if policy.type == "Pods" else math.ceil(start * policy.value / 100)
        limits.append(start + step)
    return min(limits) if rules.select_policy == "Min" else max(limits)


def _fastest_down(current: int, rules: HPAScalingRules, past: Past, now: float) -> int:
    if rules.select_policy == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = current + _changed(past.changes, policy, now, sign=-1)
        step = policy.value if policy.type == "Pods" else math.floor(start * policy.value / 100)
        limits.append(start - step)
    return max(limits) if rules.select_policy == "Min" else min(limits)


def _changed(changes: Sequence[tuple[float, int]], policy: HPAScalingPolicy, now: float, *, sign: int) -> int:
    """What was added (1) or taken away (-1) within the policy's period."""
    return sum(abs(change) for at, change in changes if change * sign > 0 and now - at <= policy.period_seconds)
