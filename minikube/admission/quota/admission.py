"""ResourceQuota: what would use more than a namespace's quotas allow is refused.

The reservation lives in the quota's status.used: it is written by compare-and-swap before the object is, so that
neither several requests nor several servers together use more than there is. Requests that wait for the same
namespace are judged together and cost one write of each quota. What was reserved for an object that is then not
made comes back when the quota controller counts again; it waits for the reservations that are still open.

Rules: k8s.io/apiserver/pkg/admission/plugin/resourcequota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import msgspec

from minikube.admission.base import Attributes
from minikube.admission.quota.check import Exceeded, Use, charged
from minikube.admission.quota.evaluators import SPECIAL, evaluator_of
from minikube.admission.quota.reservations import Reservations
from minikube.api.core_v1 import ResourceQuota
from minikube.api.meta import from_dict
from minikube.client.base import Client, Lister
from minikube.errors import ApiError, Conflict, Forbidden, NotFound
from minikube.kit.clock import Clock

ATTEMPTS = 4


class Waiting(msgspec.Struct, eq=False):
    """A request before its quotas have been asked."""

    request: Attributes
    use: Use
    judged: bool = False
    refusal: ApiError | None = None


class ResourceQuotaAdmission:
    name: ClassVar[str] = "ResourceQuota"

    def __init__(
        self, quotas: Lister[ResourceQuota], client: Client, clock: Clock, reservations: Reservations
    ) -> None:
        self._quotas = quotas
        self._reservations = reservations
        self._client = client
        self._clock = clock
        self._waiting: dict[str, list[Waiting]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def validate(self, request: Attributes) -> None:
        namespace = request.namespace
        if not namespace or not request.resource.namespaced or request.object is None:
            return
        evaluator = evaluator_of(request.resource.group, request.resource.plural)
        if not evaluator.handles(request.operation, request.subresource) or not self._quotas.list(namespace):
            return
        one = Waiting(request, _use(request, self._clock))
        self._reservations.begin(namespace)
        request.afterwards.append(partial(self._reservations.end, namespace))
        self._waiting.setdefault(namespace, []).append(one)
        try:
            async with self._locks.setdefault(namespace, asyncio.Lock()):
                if not one.judged:
                    await self._judge(namespace, list(self._waiting[namespace]))
        finally:
            self._leave(namespace, one)
        if one.refusal is not None:
            raise one.refusal

    def _leave(self, namespace: str, one: Waiting) -> None:
        waiting = self._waiting[namespace]
        waiting.remove(one)
        if not waiting:
            del self._waiting[namespace]
            self._locks.pop(namespace, None)

    async def _judge(self, namespace: str, batch: Sequence[Waiting]) -> None:
        """Everybody in the batch, in the order they came."""
        quotas: Sequence[ResourceQuota] = self._quotas.list(namespace)
        pending = batch
        for _ in range(ATTEMPTS):
            wanted, pending = _charge_all(sorted(quotas, key=lambda quota: quota.metadata.name), pending)
            lost = [quota for quota in wanted.values() if not await self._written(quota)]
            if not lost:
                break
            quotas = await self._again(namespace, lost)
        else:
            for one in pending:
                why = "the quota changed too often to be reserved; please try again"
                one.refusal = Conflict.of("resourcequotas", "", "", why)
        for one in batch:
            one.judged = True

    async def _written(self, quota: ResourceQuota) -> bool:
        try:
            await self._client.update(quota, subresource="status")
        except Conflict:
            return False
        except NotFound:
            return True
        return True

    async def _again(self, namespace: str, lost: Sequence[ResourceQuota]) -> list[ResourceQuota]:
        """Only those that could not be written: the others have the request in their usage already."""
        found = await self._client.list(ResourceQuota, namespace)
        names = {quota.metadata.name for quota in lost}
        return [quota for quota in found.items if quota.metadata.name in names]


def _charge_all(
    quotas: Sequence[ResourceQuota], batch: Sequence[Waiting]
) -> tuple[Mapping[str, ResourceQuota], list[Waiting]]:
    """The quotas as they have to be written, and who was not refused. Dry runs reserve nothing."""
    current = {quota.metadata.name: quota for quota in quotas}
    changed: dict[str, ResourceQuota] = {}
    accepted = []
    for one in batch:
        try:
            charges = charged(list(current.values()), one.use)
        except Exceeded as error:
            resource = one.request.resource
            one.refusal = Forbidden.of(resource.plural, resource.group, one.request.name, str(error))
            continue
        accepted.append(one)
        if not one.request.dry_run:
            charges_by_name = {quota.metadata.name: quota for quota in charges}
            current.update(charges_by_name)
            changed.update(charges_by_name)
    return changed, accepted


def _use(request: Attributes, clock: Clock) -> Use:
    key = (request.resource.group, request.resource.plural)
    special = SPECIAL.get(key)
    now = clock.now()
    if special is None or request.object is None:
        return Use(evaluator_of(*key), request.object, request.old, now)
    evaluator, kind = special
    old = from_dict(kind, request.old) if request.old is not None else None
    return Use(evaluator, from_dict(kind, request.object), old, now)
