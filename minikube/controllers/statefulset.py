"""StatefulSet: pods with ordinal names and claims of their own, one after the other.

Rules: pkg/controller/statefulset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import ControllerRevision, StatefulSet, StatefulSetStatus
from minikube.api.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodTemplateSpec,
    Volume,
)
from minikube.api.meta import Key, ObjectMeta, OwnerReference, from_dict
from minikube.api.owners import controller_reference
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.deployment_plan import share
from minikube.controllers.revisions import HASH, REVISION, Revisions
from minikube.errors import AlreadyExists, ApiError, NotFound

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


class Make(msgspec.Struct, frozen=True):
    """Create the pod of this ordinal, in the updated or the current revision."""

    ordinal: int
    updated: bool


class Plan(msgspec.Struct, frozen=True):
    create: tuple[Make, ...] = ()
    delete: tuple[Pod, ...] = ()


def wanted(sts: StatefulSet) -> range:
    start = (sts.spec.ordinals.start or 0) if sts.spec.ordinals else 0
    return range(start, start + (1 if sts.spec.replicas is None else sts.spec.replicas))


def ordinal(sts: StatefulSet, pod: Pod) -> int | None:
    """The number behind the set's name; None for a pod that isn't one of its own."""
    head, _, tail = pod.metadata.name.rpartition("-")
    return int(tail) if head == sts.metadata.name and tail.isdecimal() else None


def plan(sts: StatefulSet, pods: Mapping[int, Pod], updated: str, now: datetime) -> Plan:
    """The next step: in order (OrderedReady) or all at once (Parallel)."""
    parallel = sts.spec.pod_management_policy == "Parallel"
    strategy = sts.spec.update_strategy
    numbers, first_updated = wanted(sts), _first_updated(sts)
    create: list[Make] = []
    delete: list[Pod] = []
    blocked = False
    for number in numbers:
        pod = pods.get(number)
        if pod is None:
            create.append(Make(number, number >= first_updated))
        elif pod.status.phase in ("Failed", "Succeeded") and pod.metadata.deletion_timestamp is None:
            delete.append(pod)
        elif parallel or _healthy(sts, pod, now):
            continue
        blocked = blocked or not parallel
        if blocked:
            break
    if blocked and (create or delete):
        return Plan(tuple(create), tuple(delete))
    surplus = sorted((number for number in pods if number not in numbers), reverse=True)
    if surplus and not parallel:
        going = () if blocked else _next_to_go(sts, [pods[number] for number in surplus], now)
        return Plan(tuple(create), (*delete, *going))
    delete += [pods[number] for number in surplus if pods[number].metadata.deletion_timestamp is None]
    if create or delete or (strategy is not None and strategy.type == "OnDelete"):
        return Plan(tuple(create), tuple(delete))
    return Plan((), tuple(_outdated(sts, pods, updated, now, blocked=blocked)))


def _next_to_go(sts: StatefulSet, surplus: Sequence[Pod], now: datetime) -> Sequence[Pod]:
    """The last pod beyond the replicas, if it is available or none before it is unavailable (processCondemned)."""
    last = surplus[0]
    unhealthy = [pod for pod in surplus if not _healthy(sts, pod, now)]
    blocked = unhealthy and unhealthy[-1] is not last and not _healthy(sts, last, now)
    return () if blocked or last.metadata.deletion_timestamp is not None else (last,)


def _first_updated(sts: StatefulSet) -> int:
    """The ordinal from which on pods have the new template."""
    rolling = sts.spec.update_strategy.rolling_update if sts.spec.update_strategy else None
    return wanted(sts).start + ((rolling.partition or 0) if rolling else 0)


def _healthy(sts: StatefulSet, pod: Pod, now: datetime) -> bool:
    available = of_pods.available(pod, sts.spec.min_ready_seconds or 0, now)
    return available and pod.metadata.deletion_timestamp is None


def _outdated(
    sts: StatefulSet, pods: Mapping[int, Pod], updated: str, now: datetime, *, blocked: bool
) -> Sequence[Pod]:
    """The pods that a rolling update replaces now, from the last to the first, within maxUnavailable.

    One of the old template that is broken has nothing to lose; where pods wait for one another, only the last one.
    """
    rolling = sts.spec.update_strategy.rolling_update if sts.spec.update_strategy else None
    numbers = wanted(sts)
    allowed = rolling.max_unavailable if rolling and rolling.max_unavailable else 1
    down = {number for number in numbers if number not in pods or not _healthy(sts, pods[number], now)}
    room = (share(allowed, len(numbers), up=False) or 1) - len(down)
    old = [
        number
        for number in reversed(numbers)
        if number >= _first_updated(sts)
        and number in pods
        and pods[number].metadata.labels.get(REVISION) != updated
        and pods[number].metadata.deletion_timestamp is None
    ]
    broken = [number for number in old if number in down]
    if blocked:
        return [pods[number] for number in broken if number == old[0] == max(down)]
    healthy = [number for number in old if number not in down]
    return [pods[number] for number in (*broken, *healthy[: max(0, room)])]


def claims_for(sts: StatefulSet, number: int) -> Sequence[PersistentVolumeClaim]:
    """One of each volumeClaimTemplate, named <template>-<set>-<ordinal>."""
    labels = sts.spec.selector.match_labels if sts.spec.selector is not None else {}
    return [
        PersistentVolumeClaim(
            metadata=ObjectMeta(
                name=f"{one.metadata.name}-{sts.metadata.name}-{number}",
                namespace=sts.metadata.namespace,
                labels={**one.metadata.labels, **labels},
                annotations=one.metadata.annotations,
            ),
            spec=one.spec,
        )
        for one in sts.spec.volume_claim_templates
    ]


def claim_owners(
    sts: StatefulSet, pod: Pod, number: int, claim: PersistentVolumeClaim
) -> tuple[OwnerReference, ...]:
    """persistentVolumeClaimRetentionPolicy: whenDeleted Delete makes the set its owner; whenScaled Delete the pod,
    once that is beyond the replicas. Owners of others stay."""
    policy = sts.spec.persistent_volume_claim_retention_policy
    condemned = number not in wanted(sts)
    others = tuple(
        one
        for one in claim.metadata.owner_references
        if one.uid != sts.metadata.uid and (one.kind, one.name) != ("Pod", pod.metadata.name)
    )
    if policy is not None and policy.when_scaled == "Delete" and condemned:
        return (*others, controller_reference(pod))
    if policy is not None and policy.when_deleted == "Delete":
        return (*others, controller_reference(sts))
    return others


def pod_for(sts: StatefulSet, template: PodTemplateSpec, number: int, revision: str) -> Pod:
    name = f"{sts.metadata.name}-{number}"
    pod = of_pods.from_template(sts, template, name=name)
    claims = {
        one.metadata.name: Volume(
            name=one.metadata.name,
            persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=f"{one.metadata.name}-{name}"),
        )
        for one in sts.spec.volume_claim_templates
    }
    volumes = (*claims.values(), *(volume for volume in pod.spec.volumes if volume.name not in claims))
    labels = {**pod.metadata.labels, REVISION: revision, POD_NAME: name, POD_INDEX: str(number)}
    spec = msgspec.structs.replace(pod.spec, hostname=name, subdomain=sts.spec.service_name, volumes=volumes)
    return msgspec.structs.replace(pod, spec=spec, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def status_of(
    sts: StatefulSet, pods: Sequence[Pod], current: str, updated: str, now: datetime
) -> StatefulSetStatus:
    """`current` and `updated` are names of revisions."""
    living = list(pods)

    def count(revision: str) -> int:
        return sum(
            1
            for p in living
            if p.metadata.labels.get(REVISION) == revision and p.metadata.deletion_timestamp is None
        )

    ready = sum(1 for pod in living if of_pods.ready(pod))
    strategy = sts.spec.update_strategy
    rolling = strategy is None or strategy.type != "OnDelete"
    if rolling and count(updated) == ready == len(living) == len(wanted(sts)):
        current = updated
    return msgspec.structs.replace(
        sts.status,
        replicas=len(living),
        ready_replicas=ready or None,
        available_replicas=sum(1 for p in living if of_pods.available(p, sts.spec.min_ready_seconds or 0, now)),
        current_replicas=count(current) or None,
        updated_replicas=count(updated) or None,
        current_revision=current,
        update_revision=updated,
        observed_generation=sts.metadata.generation,
        collision_count=sts.status.collision_count or 0,
    )


class StatefulSetController:
    name: ClassVar[str] = "statefulset-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._sets = context.informers.of(StatefulSet).lister
        self._owned_pods = Claimer(context.client, context.informers.of(Pod), Pod)
        self._claims = context.informers.of(PersistentVolumeClaim).lister
        self._revisions = Revisions(context.client, context.informers.of(ControllerRevision).lister, HASH)
        pods = owner_or_orphan(Pod, self._sets, "StatefulSet", lambda sts: sts.spec.selector)
        self.watches = (itself(StatefulSet), pods)

    async def reconcile(self, key: Key) -> After | None:
        sts = self._sets.get(key.name, key.namespace)
        if sts is None or sts.metadata.deletion_timestamp is not None:
            return None
        now = self._context.clock.now()
        updated = await self._revisions.current(sts, sts.spec.template)
        history = {one.metadata.name: one for one in self._revisions.history(sts)}
        current = history.get(sts.status.current_revision, updated)
        await self._owned_pods.claim(sts, sts.spec.selector, fits=lambda pod: ordinal(sts, pod) is not None)
        await self._retain(sts)
        todo = plan(sts, self._owned(sts), updated.metadata.name, now)
        failure = await self._act(sts, todo, current, updated)
        fresh = self._sets.get(key.name, key.namespace)
        if fresh is None or fresh.metadata.uid != sts.metadata.uid:
            return None
        pods = list(self._owned(sts).values())
        status = status_of(fresh, pods, current.metadata.name, updated.metadata.name, now)
        if status != fresh.status:
            await self._client.update(msgspec.structs.replace(fresh, status=status), subresource="status")
        live = {
            updated.metadata.name,
            current.metadata.name,
            *(pod.metadata.labels.get(REVISION, "") for pod in pods),
        }
        limit = 10 if sts.spec.revision_history_limit is None else sts.spec.revision_history_limit
        await self._revisions.prune(sts, live, limit)
        if failure:
            raise ApiError(failure)
        wait = of_pods.available_in(pods, sts.spec.min_ready_seconds or 0, now)
        return After(wait) if wait is not None else None

    def _owned(self, sts: StatefulSet) -> dict[int, Pod]:
        found = {}
        for pod in self._owned_pods.lister.by_index("owner", sts.metadata.uid):
            number = ordinal(sts, pod)
            if number is not None:
                found[number] = pod
        return found

    async def _act(
        self, sts: StatefulSet, todo: Plan, current: ControllerRevision, updated: ControllerRevision
    ) -> str:
        events, kind = self._context.events, "StatefulSet"
        for pod in todo.delete:
            meta = pod.metadata
            if pod.status.phase in ("Failed", "Succeeded"):
                reason = "RecreatingFailedPod" if pod.status.phase == "Failed" else "RecreatingTerminatedPod"
                which = "failed" if pod.status.phase == "Failed" else "terminated"
                about = f"StatefulSet {meta.namespace}/{sts.metadata.name} is recreating {which} Pod {meta.name}"
                events.warning(sts, reason, about)
            try:
                await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
            except NotFound:
                continue
            message = f"delete Pod {meta.name} in {kind} {sts.metadata.name} successful"
            events.normal(sts, "SuccessfulDelete", message)
        for make in todo.create:
            revision = updated if make.updated else current
            template = sts.spec.template if make.updated else _template(revision)
            pod = pod_for(sts, template, make.ordinal, revision.metadata.name)
            about = f"create Pod {pod.metadata.name} in {kind} {sts.metadata.name}"
            try:
                await self._claim(sts, pod, make.ordinal)
                await self._client.create(pod)
            except AlreadyExists:
                continue
            except ApiError as error:
                events.warning(sts, "FailedCreate", f"{about} failed error: {error.message}")
                return error.message
            events.normal(sts, "SuccessfulCreate", f"{about} successful")
        return ""

    async def _retain(self, sts: StatefulSet) -> None:
        """Claims that are to go with the set, or with a pod that is scaled away, are owned by it."""
        policy = sts.spec.persistent_volume_claim_retention_policy
        if policy is None or not sts.spec.volume_claim_templates:
            return
        for number, pod in self._owned(sts).items():
            for claim in claims_for(sts, number):
                known = self._claims.get(claim.metadata.name, claim.metadata.namespace)
                owners = claim_owners(sts, pod, number, known) if known is not None else None
                if known is None or owners == known.metadata.owner_references:
                    continue
                patch = {
                    "metadata": {
                        "ownerReferences": [msgspec.to_builtins(one) for one in owners or ()] or None,
                        "resourceVersion": known.metadata.resource_version,
                    }
                }
                await self._client.patch(
                    PersistentVolumeClaim, known.metadata.name, known.metadata.namespace, patch=patch
                )

    async def _claim(self, sts: StatefulSet, pod: Pod, number: int) -> None:
        for claim in claims_for(sts, number):
            name = claim.metadata.name
            if self._claims.get(name, claim.metadata.namespace) is None:
                await self._client.create(claim)
                message = f"create Claim {name} Pod {pod.metadata.name} in StatefulSet {sts.metadata.name} success"
                self._context.events.normal(sts, "SuccessfulCreate", message)


def _template(revision: ControllerRevision) -> PodTemplateSpec:
    tree = dict(revision.data["spec"]["template"])
    tree.pop("$patch", None)
    template: PodTemplateSpec = from_dict(PodTemplateSpec, tree)  # type: ignore[type-var]
    return template
