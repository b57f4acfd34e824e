"""How many replicas each ReplicaSet of a Deployment should have now, purely: rolling, recreating and scaling.

Rules: kube-controller-manager pkg/controller/deployment (rolling.go, recreate.go, sync.go) and its util package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from minikube.api.apps_v1 import Deployment, ReplicaSet

REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
_DAWN = datetime.min.replace(tzinfo=UTC)


class Bounds(msgspec.Struct, frozen=True):
    surge: int
    unavailable: int


def bounds(deployment: Deployment) -> Bounds:
    """maxSurge rounded up, maxUnavailable rounded down, never both zero."""
    wanted = replicas_of(deployment)
    strategy = deployment.spec.strategy
    if strategy and strategy.type == "Recreate":
        return Bounds(0, 0)
    rolling = strategy.rolling_update if strategy else None
    surge = share(rolling.max_surge if rolling else "25%", wanted, up=True)
    unavailable = share(rolling.max_unavailable if rolling else "25%", wanted, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, min(unavailable, wanted) if wanted else 0)


def share(value: int | str | None, total: int, *, up: bool) -> int:
    """An IntOrString of a total (intstr.GetScaledValueFromIntOrPercent); unset is 25%."""
    if value is None:
        value = "25%"
    if isinstance(value, int):
        return value
    if value.endswith("%"):
        hundredths = total * int(value[:-1])
        return -(-hundredths // 100) if up else hundredths // 100
    return int(value)


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    return 1 if obj.spec.replicas is None else obj.spec.replicas


def revision_of(obj: Deployment | ReplicaSet) -> int:
    text = obj.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def by_age(sets: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    return sorted(sets, key=lambda rs: (rs.metadata.creation_timestamp or _DAWN, rs.metadata.name))


def plan_rolling(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Mapping[str, int]:
    """ReplicaSet name -> replicas it should have now; only what changes. First up, then down."""
    wanted = replicas_of(deployment)
    room = wanted + bounds(deployment).surge - replicas_of(new) - sum(map(replicas_of, old))
    if replicas_of(new) > wanted:
        return {new.metadata.name: wanted}
    if replicas_of(new) < wanted and room > 0:
        return {new.metadata.name: min(wanted, replicas_of(new) + room)}
    return _shrink_old(deployment, new, old)


def _shrink_old(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Mapping[str, int]:
    """Old pods that never became available go first; then available ones, as far as enough stay."""
    least = replicas_of(deployment) - bounds(deployment).unavailable
    missing = replicas_of(new) - (new.status.available_replicas or 0)
    spare = replicas_of(new) + sum(map(replicas_of, old)) - least - missing
    left = {rs.metadata.name: replicas_of(rs) for rs in by_age(old)}
    if spare <= 0:
        return {}
    for rs in by_age(old):
        drop = min(spare, max(0, replicas_of(rs) - (rs.status.available_replicas or 0)))
        left[rs.metadata.name] -= drop
        spare -= drop
    surplus = sum(rs.status.available_replicas or 0 for rs in (new, *old)) - least
    for name in left:
        drop = max(0, min(surplus, left[name]))
        left[name] -= drop
        surplus -= drop
    return {rs.metadata.name: left[rs.metadata.name] for rs in old if left[rs.metadata.name] != replicas_of(rs)}


def plan_recreate(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], *, pods_left: bool
) -> Mapping[str, int]:
    """All old ones down first, and their pods gone; then the new one up."""
    down = {rs.metadata.name: 0 for rs in old if replicas_of(rs)}
    if down or pods_left or new is None:
        return down
    wanted = replicas_of(deployment)
    return {new.metadata.name: wanted} if replicas_of(new) != wanted else {}


def scaled(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """The deployment was scaled since its active ReplicaSets were last told how many are desired."""
    for rs in sets:
        desired = rs.metadata.annotations.get(DESIRED, "")
        if replicas_of(rs) and desired.isdecimal() and int(desired) != replicas_of(deployment):
            return True
    return False


def plan_scale(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> Mapping[str, int]:
    """A change of spec.replicas: the only active set takes all of it; a finished rollout's old sets go down; in
    mid-rollout the sets share it in proportion to their sizes. Also names sets that keep their size: they are to be
    told what is desired now."""
    wanted = replicas_of(deployment)
    active = [rs for rs in (*old, *([new] if new else ())) if replicas_of(rs)]
    if len(active) <= 1:
        only = active[0] if active else new or (by_age(old)[-1] if old else None)
        return {only.metadata.name: wanted} if only is not None else {}
    if new is not None and saturated(deployment, new):
        return {rs.metadata.name: 0 for rs in old if replicas_of(rs)}
    if deployment.spec.strategy is not None and deployment.spec.strategy.type == "Recreate":
        return {rs.metadata.name: replicas_of(rs) for rs in active}
    return _proportional(deployment, active)


def saturated(deployment: Deployment, rs: ReplicaSet) -> bool:
    """It has everything that the deployment wants, and it is available."""
    wanted = replicas_of(deployment)
    desired = rs.metadata.annotations.get(DESIRED, "")
    told = desired.isdecimal() and int(desired) == wanted
    return told and replicas_of(rs) == wanted and rs.status.available_replicas == wanted


def _proportional(deployment: Deployment, active: Sequence[ReplicaSet]) -> Mapping[str, int]:
    wanted = replicas_of(deployment)
    allowed = wanted + bounds(deployment).surge if wanted > 0 else 0
    to_add = allowed - sum(map(replicas_of, active))
    newest_first = by_age(active)[::-1]
    # Growing, the larger (then newer) set comes first; shrinking, the larger (then older).
    ordered = sorted(newest_first if to_add > 0 else newest_first[::-1], key=replicas_of, reverse=True)
    added, sizes = 0, {}
    for rs in ordered:
        part = _fraction(deployment, rs, to_add, added) if to_add else 0
        sizes[rs.metadata.name] = replicas_of(rs) + part
        added += part
    if ordered and to_add:
        # Rounding's remainder goes to the largest.
        first = ordered[0].metadata.name
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _fraction(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    allowed = to_add - added
    if not replicas_of(rs) or not to_add or not allowed:
        return 0
    text = rs.metadata.annotations.get(MAX, "")
    before = int(text) if text.isdecimal() and int(text) else deployment.status.replicas or 0
    if not before:
        return 0
    size = replicas_of(deployment) + bounds(deployment).surge
    part = _round(replicas_of(rs) * size / before) - replicas_of(rs)
    if replicas_of(deployment) == 0:
        part = -replicas_of(rs)
    return min(part, allowed) if to_add > 0 else max(part, allowed)


def _round(value: float) -> int:
    """Halves away from zero, as Go's integer.RoundToInt32."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
