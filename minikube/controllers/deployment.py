"""Deployment: a ReplicaSet for each template, moved over within maxSurge and maxUnavailable.

Rules: kube-controller-manager pkg/controller/deployment (sync.go, rolling.go, recreate.go, progress.go).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import (
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
)
from minikube.api.core_v1 import Pod, PodTemplateSpec
from minikube.api.meta import Key, ObjectMeta, encode
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself, owner_of
from minikube.errors import AlreadyExists

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: PodTemplateSpec, collisions: int) -> str:
    digest = hashlib.sha256(encode(template) + str(collisions).encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:10])


def without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    labels = {key: value for key, value in template.metadata.labels.items() if key != HASH}
    return msgspec.structs.replace(template, metadata=msgspec.structs.replace(template.metadata, labels=labels))


def current_set(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The oldest ReplicaSet with the deployment's template."""
    same = [rs for rs in sets if rs.spec.template and without_hash(rs.spec.template) == deployment.spec.template]
    return min(same, key=lambda rs: (rs.metadata.creation_timestamp, rs.metadata.name), default=None)


class Bounds(msgspec.Struct, frozen=True):
    surge: int
    unavailable: int


def bounds(deployment: Deployment) -> Bounds:
    """maxSurge rounded up, maxUnavailable rounded down, never both zero."""
    wanted = replicas_of(deployment)
    rolling = deployment.spec.strategy.rolling_update if deployment.spec.strategy else None
    if deployment.spec.strategy and deployment.spec.strategy.type == "Recreate":
        return Bounds(0, wanted)
    surge = share(rolling.max_surge if rolling else "25%", wanted, up=True)
    unavailable = share(rolling.max_unavailable if rolling else "25%", wanted, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(surge, min(unavailable, wanted) if wanted else unavailable)


def share(value: int | str | None, total: int, *, up: bool) -> int:
    if value is None:
        value = "25%"
    if isinstance(value, int):
        return value
    if value.endswith("%"):
        part = total * int(value[:-1]) / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    return 1 if obj.spec.replicas is None else obj.spec.replicas


def plan_rolling(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Mapping[str, int]:
    """ReplicaSet name -> replicas it should have now; only what changes."""
    wanted, limits = replicas_of(deployment), bounds(deployment)
    total = replicas_of(new) + sum(replicas_of(rs) for rs in old)
    if replicas_of(new) > wanted:
        return {new.metadata.name: wanted}
    if replicas_of(new) < wanted:
        room = wanted + limits.surge - total
        if room > 0:
            return {new.metadata.name: min(wanted, replicas_of(new) + room)}
    out: dict[str, int] = {}
    least = wanted - limits.unavailable
    new_unavailable = replicas_of(new) - (new.status.available_replicas or 0)
    spare = total - least - max(0, new_unavailable)
    ordered = sorted(old, key=lambda rs: rs.metadata.creation_timestamp or datetime.min)
    for rs in ordered:
        unhealthy = replicas_of(rs) - (rs.status.available_replicas or 0)
        drop = min(spare, max(0, unhealthy))
        if drop > 0:
            out[rs.metadata.name] = replicas_of(rs) - drop
            spare -= drop
    available = sum(rs.status.available_replicas or 0 for rs in (new, *old))
    spare = min(spare, available - least)
    for rs in ordered:
        have = out.get(rs.metadata.name, replicas_of(rs))
        drop = min(spare, have)
        if drop > 0:
            out[rs.metadata.name] = have - drop
            spare -= drop
    return out


def plan_recreate(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], *, pods_left: bool
) -> Mapping[str, int]:
    """All old ones down first."""
    down = {rs.metadata.name: 0 for rs in old if replicas_of(rs)}
    if down or pods_left or new is None:
        return down
    wanted = replicas_of(deployment)
    return {new.metadata.name: wanted} if replicas_of(new) != wanted else {}


def status_of(
    deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet], now: datetime
) -> DeploymentStatus:
    total = sum(rs.status.replicas for rs in sets)
    available = sum(rs.status.available_replicas or 0 for rs in sets)
    wanted = replicas_of(deployment)
    enough = available >= wanted - bounds(deployment).unavailable
    updated = new.status.replicas if new else 0
    status = DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=total or None,
        updated_replicas=updated or None,
        ready_replicas=sum(rs.status.ready_replicas or 0 for rs in sets) or None,
        available_replicas=available or None,
        unavailable_replicas=max(0, total - available) or None,
        collision_count=deployment.status.collision_count,
    )
    conditions = {c.type: c for c in deployment.status.conditions}
    _set(
        conditions,
        "Available",
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        now,
    )
    failure = next((c for rs in sets for c in rs.status.conditions if c.type == "ReplicaFailure"), None)
    if failure is not None:
        _set(conditions, "ReplicaFailure", failure.status, failure.reason, failure.message, now)
    else:
        conditions.pop("ReplicaFailure", None)
    _progress(deployment, new, status, conditions, now)
    return msgspec.structs.replace(status, conditions=tuple(conditions.values()))


def _progress(
    deployment: Deployment,
    new: ReplicaSet | None,
    status: DeploymentStatus,
    conditions: dict[str, DeploymentCondition],
    now: datetime,
) -> None:
    """The Progressing condition."""
    before, wanted = deployment.status, replicas_of(deployment)
    subject = f'ReplicaSet "{new.metadata.name}"' if new else f'Deployment "{deployment.metadata.name}"'
    complete = (
        (status.updated_replicas or 0) == wanted
        and (status.replicas or 0) == wanted
        and (status.available_replicas or 0) == wanted
    )
    moved = (
        (status.updated_replicas or 0) > (before.updated_replicas or 0)
        or (status.ready_replicas or 0) > (before.ready_replicas or 0)
        or (status.available_replicas or 0) > (before.available_replicas or 0)
        or ((status.replicas or 0) - (status.updated_replicas or 0))
        < ((before.replicas or 0) - (before.updated_replicas or 0))
    )
    known = conditions.get("Progressing")
    if complete and new is not None:
        _set(
            conditions,
            "Progressing",
            "True",
            "NewReplicaSetAvailable",
            f"{subject} has successfully progressed.",
            now,
        )
    elif moved or known is None or known.reason == "NewReplicaSetAvailable":
        _set(conditions, "Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now, touch=True)
    elif _overdue(deployment, known, now):
        _set(
            conditions,
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            f"{subject} has timed out progressing.",
            now,
        )


def _overdue(deployment: Deployment, known: DeploymentCondition, now: datetime) -> bool:
    deadline = deployment.spec.progress_deadline_seconds
    if deadline is None or deployment.spec.paused or known.last_update_time is None:
        return False
    return (now - known.last_update_time).total_seconds() > deadline


def _set(
    conditions: dict[str, DeploymentCondition],
    type: str,
    status: str,
    reason: str,
    message: str,
    now: datetime,
    *,
    touch: bool = False,
) -> None:
    now = now.replace(microsecond=0)
    known = conditions.get(type)
    if known is not None and (known.status, known.reason) == (status, reason) and not touch:
        return
    since = known.last_transition_time if known is not None and known.status == status else now
    conditions[type] = DeploymentCondition(
        type=type, status=status, reason=reason, message=message, last_update_time=now, last_transition_time=since
    )


class DeploymentController:
    name: ClassVar[str] = "deployment-controller"
    workers: ClassVar[int] = 2
    watches = (itself(Deployment), owner_of(ReplicaSet, "Deployment"))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._deployments = context.informers.of(Deployment).lister
        self._sets = context.informers.of(ReplicaSet).lister
        self._pods = context.informers.of(Pod).lister

    async def reconcile(self, key: Key) -> After | None:
        deployment = self._deployments.get(key.name, key.namespace)
        if deployment is None:
            return None
        now = self._context.clock.now()
        sets = list(self._sets.by_index("owner", deployment.metadata.uid))
        new = current_set(deployment, sets)
        if deployment.metadata.deletion_timestamp is None:
            old = [rs for rs in sets if new is None or rs.metadata.uid != new.metadata.uid]
            recreate = deployment.spec.strategy is not None and deployment.spec.strategy.type == "Recreate"
            pods_left = recreate and any(
                pod.status.phase not in ("Succeeded", "Failed")
                for rs in old
                for pod in self._pods.by_index("owner", rs.metadata.uid)
            )
            waiting = recreate and (pods_left or any(replicas_of(rs) for rs in old))
            if not deployment.spec.paused and not waiting:
                new = await self._ensure_set(deployment, new, old)
            await self._move(deployment, new, old, recreate=recreate, pods_left=pods_left)
            await self._tidy(deployment, old)
            sets = list(self._sets.by_index("owner", deployment.metadata.uid))
            new = current_set(deployment, sets)
        fresh = self._deployments.get(key.name, key.namespace)
        if fresh is None or fresh.metadata.uid != deployment.metadata.uid:
            return None
        status = status_of(fresh, new, sets, now)
        if status != fresh.status:
            await self._client.update(msgspec.structs.replace(fresh, status=status), subresource="status")
        return self._next_look(fresh, status)

    def _next_look(self, deployment: Deployment, status: DeploymentStatus) -> After | None:
        progressing = next((c for c in status.conditions if c.type == "Progressing"), None)
        deadline = deployment.spec.progress_deadline_seconds
        if deadline and progressing is not None and progressing.reason == "ReplicaSetUpdated":
            return After(deadline + 1)
        return None

    async def _ensure_set(
        self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]
    ) -> ReplicaSet:
        """The ReplicaSet of the present template, under the next revision."""
        highest = max((int(rs.metadata.annotations.get(REVISION, "0")) for rs in old), default=0)
        if new is None:
            new = await self._create_set(deployment, old, highest + 1)
        elif int(new.metadata.annotations.get(REVISION, "0")) <= highest:
            patch = {"metadata": {"annotations": {REVISION: str(highest + 1)}}}
            new = await self._client.patch(ReplicaSet, new.metadata.name, new.metadata.namespace, patch=patch)
        revision = new.metadata.annotations.get(REVISION, "1")
        if deployment.metadata.annotations.get(REVISION) != revision:
            patch = {"metadata": {"annotations": {REVISION: revision}}}
            meta = deployment.metadata
            await self._client.patch(Deployment, meta.name, meta.namespace, patch=patch)
        return new

    async def _create_set(self, deployment: Deployment, old: Sequence[ReplicaSet], revision: int) -> ReplicaSet:
        collisions = deployment.status.collision_count or 0
        hashed = template_hash(deployment.spec.template, collisions)
        template = deployment.spec.template
        labels = {**template.metadata.labels, HASH: hashed}
        template = msgspec.structs.replace(
            template, metadata=msgspec.structs.replace(template.metadata, labels=labels)
        )
        selector = deployment.spec.selector
        limits, wanted = bounds(deployment), replicas_of(deployment)
        total = sum(replicas_of(rs) for rs in old)
        start = wanted if not total else max(0, min(wanted, wanted + limits.surge - total))
        skipped = ("kubectl.kubernetes.io/last-applied-configuration", REVISION)
        annotations = {k: v for k, v in deployment.metadata.annotations.items() if k not in skipped}
        rs = ReplicaSet(
            metadata=ObjectMeta(
                name=f"{deployment.metadata.name}-{hashed}",
                namespace=deployment.metadata.namespace,
                labels=labels,
                annotations={
                    **annotations,
                    REVISION: str(revision),
                    DESIRED: str(wanted),
                    MAX: str(wanted + limits.surge),
                },
                owner_references=(of_pods.controlled_by(deployment),),
            ),
            spec=ReplicaSetSpec(
                replicas=start,
                min_ready_seconds=deployment.spec.min_ready_seconds,
                selector=LabelSelector(
                    match_labels={**selector.match_labels, HASH: hashed},
                    match_expressions=selector.match_expressions,
                ),
                template=template,
            ),
        )
        try:
            made = await self._client.create(rs)
        except AlreadyExists:
            patch = {"status": {"collisionCount": collisions + 1}}
            meta = deployment.metadata
            await self._client.patch(Deployment, meta.name, meta.namespace, patch=patch, subresource="status")
            raise
        if start:
            self._tell(deployment, made, 0, start)
        return made

    async def _move(
        self,
        deployment: Deployment,
        new: ReplicaSet | None,
        old: Sequence[ReplicaSet],
        *,
        recreate: bool,
        pods_left: bool,
    ) -> None:
        if deployment.spec.paused:
            return
        if recreate:
            todo = plan_recreate(deployment, new, old, pods_left=pods_left)
        elif new is not None:
            todo = plan_rolling(deployment, new, old)
        else:
            return
        sets = {rs.metadata.name: rs for rs in (*old, *([new] if new else ()))}
        for name, replicas in todo.items():
            rs = sets[name]
            limit = replicas_of(deployment) + bounds(deployment).surge
            patch = {
                "metadata": {"annotations": {DESIRED: str(replicas_of(deployment)), MAX: str(limit)}},
                "spec": {"replicas": replicas},
            }
            await self._client.patch(ReplicaSet, name, rs.metadata.namespace, patch=patch)
            self._tell(deployment, rs, replicas_of(rs), replicas)

    def _tell(self, deployment: Deployment, rs: ReplicaSet, before: int, after: int) -> None:
        way = "up" if after > before else "down"
        message = f"Scaled {way} replica set {rs.metadata.name} from {before} to {after}"
        self._context.events.normal(deployment, "ScalingReplicaSet", message)

    async def _tidy(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        """Only so many empty old ReplicaSets are kept for rollback."""
        limit = deployment.spec.revision_history_limit
        if limit is None:
            return
        empty = [rs for rs in old if not replicas_of(rs) and not rs.status.replicas]
        empty.sort(key=lambda rs: int(rs.metadata.annotations.get(REVISION, "0")))
        for rs in empty[: max(0, len(old) - limit)]:
            if rs.metadata.deletion_timestamp is None:
                await self._client.delete(ReplicaSet, rs.metadata.name, rs.metadata.namespace, uid=rs.metadata.uid)
