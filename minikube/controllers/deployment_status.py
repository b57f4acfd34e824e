"""The status of a Deployment: counts, and whether it is available and moving on, purely.

Rules: kube-controller-manager pkg/controller/deployment (progress.go, sync.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from minikube.api.apps_v1 import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet
from minikube.api.time import seconds
from minikube.controllers.deployment_plan import bounds, replicas_of

PROGRESSING = "Progressing"
NO_DEADLINE = 2**31 - 1
Conditions = dict[str, DeploymentCondition]


def status_of(
    deployment: Deployment,
    new: ReplicaSet | None,
    sets: Sequence[ReplicaSet],
    now: datetime,
    *,
    rolling: bool,
    created: bool = False,
) -> DeploymentStatus:
    """`rolling` is false while only scaling or paused: then progress is not estimated; `created`: the new
    ReplicaSet was made just now."""
    available = sum(rs.status.available_replicas or 0 for rs in sets)
    status = DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in sets) or None,
        updated_replicas=(new.status.replicas if new else 0) or None,
        ready_replicas=sum(rs.status.ready_replicas or 0 for rs in sets) or None,
        available_replicas=available or None,
        unavailable_replicas=max(0, sum(map(replicas_of, sets)) - available) or None,
        terminating_replicas=sum(rs.status.terminating_replicas or 0 for rs in sets),
        collision_count=deployment.status.collision_count,
    )
    conditions = {one.type: one for one in deployment.status.conditions}
    _available(deployment, available, conditions, now)
    if has_deadline(deployment):
        _paused(deployment, conditions, now)
        if rolling:
            _progress(deployment, new, status, conditions, now, created=created)
    elif rolling:
        conditions.pop(PROGRESSING, None)
    if rolling:
        _failure(new, sets, conditions, now)
    return msgspec.structs.replace(status, conditions=tuple(conditions.values()))


def has_deadline(deployment: Deployment) -> bool:
    return deployment.spec.progress_deadline_seconds not in (None, NO_DEADLINE)


def complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Every replica is of the new template and available, and none of an older one is left."""
    wanted = replicas_of(deployment)
    return (status.updated_replicas or 0) == (status.replicas or 0) == (
        status.available_replicas or 0
    ) == wanted and (status.observed_generation or 0) >= deployment.metadata.generation


def deadline_in(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """Seconds until the rollout has to be called stuck; None when there is nothing to wait for."""
    known = next((one for one in status.conditions if one.type == PROGRESSING), None)
    if known is None or known.last_update_time is None or not has_deadline(deployment) or deployment.spec.paused:
        return None
    if complete(deployment, status) or known.reason in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        return None
    deadline = deployment.spec.progress_deadline_seconds or 0
    return max(0.0, deadline - (now - known.last_update_time).total_seconds()) + 1


def _available(deployment: Deployment, available: int, conditions: Conditions, now: datetime) -> None:
    if available >= replicas_of(deployment) - bounds(deployment).unavailable:
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        _set(conditions, "Available", "True", reason, message, now)
    else:
        reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        _set(conditions, "Available", "False", reason, message, now)


def _paused(deployment: Deployment, conditions: Conditions, now: datetime) -> None:
    """Resuming starts the deadline anew."""
    known = conditions.get(PROGRESSING)
    if known is not None and known.reason == "ProgressDeadlineExceeded":
        return
    was = known is not None and known.reason == "DeploymentPaused"
    if deployment.spec.paused and not was:
        _set(conditions, PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused", now)
    elif not deployment.spec.paused and was:
        _set(conditions, PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", now)


def _progress(
    deployment: Deployment,
    new: ReplicaSet | None,
    status: DeploymentStatus,
    conditions: Conditions,
    now: datetime,
    *,
    created: bool,
) -> None:
    name = new.metadata.name if new else ""
    subject = f'ReplicaSet "{name}"' if new else f'Deployment "{deployment.metadata.name}"'
    if created:
        _set(conditions, PROGRESSING, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"', now)
    elif new is not None and PROGRESSING not in conditions:
        _set(conditions, PROGRESSING, "True", "FoundNewReplicaSet", f'Found new replica set "{name}"', now)
    known = conditions.get(PROGRESSING)
    settled = known is not None and known.reason == "NewReplicaSetAvailable"
    if settled and status.replicas == status.updated_replicas:
        return
    if complete(deployment, status):
        message = f"{subject} has successfully progressed."
        _set(conditions, PROGRESSING, "True", "NewReplicaSetAvailable", message, now)
    elif _moved(deployment.status, status):
        _set(conditions, PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", now, touch=True)
    elif _overdue(deployment, known, now):
        message = f"{subject} has timed out progressing."
        _set(conditions, PROGRESSING, "False", "ProgressDeadlineExceeded", message, now)


def _moved(before: DeploymentStatus, after: DeploymentStatus) -> bool:
    """More new, ready or available ones, or fewer old ones."""
    old_before = (before.replicas or 0) - (before.updated_replicas or 0)
    old_after = (after.replicas or 0) - (after.updated_replicas or 0)
    return (
        (after.updated_replicas or 0) > (before.updated_replicas or 0)
        or old_after < old_before
        or (after.ready_replicas or 0) > (before.ready_replicas or 0)
        or (after.available_replicas or 0) > (before.available_replicas or 0)
    )


def _overdue(deployment: Deployment, known: DeploymentCondition | None, now: datetime) -> bool:
    if known is None or known.reason == "NewReplicaSetAvailable" or known.last_update_time is None:
        return False
    if known.reason == "ProgressDeadlineExceeded":
        return True
    return (now - known.last_update_time).total_seconds() > (deployment.spec.progress_deadline_seconds or 0)


def _failure(new: ReplicaSet | None, sets: Sequence[ReplicaSet], conditions: Conditions, now: datetime) -> None:
    """The new ReplicaSet's failure to make pods, else any other's."""
    ordered = [*([new] if new else ()), *sets]
    failed = next((one for rs in ordered for one in rs.status.conditions if one.type == "ReplicaFailure"), None)
    if failed is None:
        conditions.pop("ReplicaFailure", None)
    else:
        _set(conditions, "ReplicaFailure", failed.status, failed.reason, failed.message, now)


def _set(
    conditions: Conditions, type: str, status: str, reason: str, message: str, now: datetime, *, touch: bool = False
) -> None:
    """Same status and reason: left as it is, unless `touch` says that the time of update matters."""
    now = seconds(now)
    known = conditions.get(type)
    if known is not None and (known.status, known.reason) == (status, reason) and not touch:
        return
    since = known.last_transition_time if known is not None and known.status == status else now
    conditions[type] = DeploymentCondition(
        type=type, status=status, reason=reason, message=message, last_update_time=now, last_transition_time=since
    )
