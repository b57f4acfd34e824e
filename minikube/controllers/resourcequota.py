"""ResourceQuota status: hard as the spec says, used as counted.

Admission reserves in status.used before an object is there. So what is there is counted only while no reservation
is open: by then whatever was reserved has become an object, or never will. Whoever reserves meanwhile changes the
quota, so that what was counted is not written. That it has been at rest for a moment, too, saves counting.

Rules: kubernetes pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from minikube.admission.quota.check import counts
from minikube.admission.quota.evaluators import SPECIAL, Evaluator, ObjectCount
from minikube.api.core_v1 import ResourceQuota, ResourceQuotaStatus
from minikube.api.meta import Key, Object, Resource
from minikube.api.resource_list import ZERO, Exact, ResourceList, add, mask, read, written
from minikube.controllers.base import After, Context, Watch, itself
from minikube.resources.all import ALL

SETTLED_SECONDS = 1.0
RESYNC_SECONDS = 300.0
BUSY = {"events", "leases"}
"""Kinds that change too often to follow; quotas of them are counted at every resync."""
COUNTED: Sequence[type[Object]] = [
    kind.type
    for kind in ALL
    if kind.resource.namespaced
    and kind.stored_as is None
    and "list" in kind.verbs
    and kind.resource.plural not in BUSY
]


class Seen(msgspec.Struct, frozen=True):
    """A version of a quota and when it was first seen or last counted, in monotonic seconds."""

    resource_version: str
    at: float


class ResourceQuotaController:
    name: ClassVar[str] = "resourcequota-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._informers = context.informers
        self._reservations = context.reservations
        self._quotas = context.informers.of(ResourceQuota).lister
        self._seen: dict[Key, Seen] = {}
        self.watches: tuple[Watch, ...] = (
            itself(ResourceQuota),
            *(Watch(kind, self._quotas_of) for kind in COUNTED),
        )

    async def reconcile(self, key: Key) -> After | None:
        quota = self._quotas.get(key.name, key.namespace)
        if quota is None or quota.metadata.deletion_timestamp is not None:
            self._seen.pop(key, None)
            return None
        rested = self._rested(key, quota)
        fresh = quota.status.hard == quota.spec.hard and quota.status.used.keys() == quota.spec.hard.keys()
        if fresh and rested < SETTLED_SECONDS:
            return After(SETTLED_SECONDS - rested)
        if self._reservations.under_way(key.namespace):
            return After(SETTLED_SECONDS / 10)
        used = await self._counted(quota)
        self._seen[key] = Seen(quota.metadata.resource_version, self._clock.monotonic())
        status = ResourceQuotaStatus(hard=quota.spec.hard, used=written(used))
        if not fresh or used != read(quota.status.used):
            await self._client.update(msgspec.structs.replace(quota, status=status), subresource="status")
        return After(RESYNC_SECONDS)

    def _rested(self, key: Key, quota: ResourceQuota) -> float:
        """Seconds since the quota changed, as far as we have seen, or was counted."""
        now, version = self._clock.monotonic(), quota.metadata.resource_version
        seen = self._seen.get(key)
        if seen is None or seen.resource_version != version:
            seen = self._seen[key] = Seen(version, now)
        return now - seen.at

    async def _counted(self, quota: ResourceQuota) -> dict[str, Exact]:
        """Of every resource that the quota names; what nobody counts stays zero."""
        hard = quota.spec.hard
        total: ResourceList = dict.fromkeys(hard, ZERO)
        namespace, now = quota.metadata.namespace, self._clock.now()
        await self._client.list(ResourceQuota, namespace)  # waits until listers have what is stored by now
        for evaluator, kind in SPECIAL.values():
            if evaluator.matching(hard):
                for obj in self._informers.of(kind).lister.list(namespace):
                    if counts(quota, evaluator, obj, hard):
                        total = add(total, mask(evaluator.usage(obj, now), hard))
        for resource, evaluator in self._object_counts(hard, await self._client.resources()):
            found = await self._client.list_partial(resource, namespace)
            for obj in found.items:
                if counts(quota, evaluator, obj, hard):
                    total = add(total, mask(evaluator.usage(obj, now), hard))
        return dict(total)

    def _object_counts(
        self, names: Iterable[str], resources: Iterable[Resource]
    ) -> Iterable[tuple[Resource, Evaluator]]:
        for resource in resources:
            if resource.namespaced and (resource.group, resource.plural) not in SPECIAL:
                evaluator = ObjectCount(resource.group, resource.plural)
                if evaluator.matching(names):
                    yield resource, evaluator

    def _quotas_of(self, obj: Any) -> Iterable[Key]:
        namespace = obj.metadata.namespace
        return [Key(namespace, quota.metadata.name) for quota in self._quotas.list(namespace)]
