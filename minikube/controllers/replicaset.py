"""ReplicaSet: as many pods as wanted, adopted, made or removed. The lister shows our own writes at once, so no
expectations are kept. Rules: kube-controller-manager pkg/controller/replicaset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key
from minikube.api.selectors import matches
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself, owner_of
from minikube.errors import ApiError, NotFound

BURST = 500


class Plan(msgspec.Struct, frozen=True):
    create: int
    delete: tuple[Pod, ...]


def plan(wanted: int, pods: Sequence[Pod], now: datetime) -> Plan:
    """What to make or remove among the active pods."""
    surplus = len(pods) - wanted
    if surplus < 0:
        return Plan(min(-surplus, BURST), ())
    return Plan(0, tuple(of_pods.first_to_go(pods, now)[: min(surplus, BURST)]))


def status_of(
    rs: ReplicaSet, pods: Sequence[Pod], now: datetime, *, failure: str = "", deleting: bool = False
) -> ReplicaSetStatus:
    labels = rs.spec.template.metadata.labels if rs.spec.template else {}
    wait = rs.spec.min_ready_seconds or 0
    conditions = [c for c in rs.status.conditions if c.type != "ReplicaFailure"]
    if failure:
        known = next((c for c in rs.status.conditions if c.type == "ReplicaFailure"), None)
        reason = "FailedDelete" if deleting else "FailedCreate"
        conditions.append(
            known
            or ReplicaSetCondition(
                type="ReplicaFailure",
                status="True",
                reason=reason,
                message=failure,
                last_transition_time=now.replace(microsecond=0),
            )
        )
    return ReplicaSetStatus(
        replicas=len(pods),
        fully_labeled_replicas=sum(1 for p in pods if labels.items() <= p.metadata.labels.items()),
        ready_replicas=sum(1 for p in pods if of_pods.ready(p)),
        available_replicas=sum(1 for p in pods if of_pods.available(p, wait, now)),
        observed_generation=rs.metadata.generation,
        conditions=tuple(conditions),
    )


class ReplicaSetController:
    name: ClassVar[str] = "replicaset-controller"
    workers: ClassVar[int] = 4
    watches = (itself(ReplicaSet), owner_of(Pod, "ReplicaSet"))

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sets = context.informers.of(ReplicaSet).lister
        self._pods = context.informers.of(Pod).lister

    async def reconcile(self, key: Key) -> After | None:
        rs = self._sets.get(key.name, key.namespace)
        if rs is None:
            return None
        now = self._context.clock.now()
        pods = self._owned(rs)
        failure, deleting = "", False
        if rs.metadata.deletion_timestamp is None:
            wanted = 1 if rs.spec.replicas is None else rs.spec.replicas
            todo = plan(wanted, pods, now)
            deleting = bool(todo.delete)
            failure = await self._create(rs, todo.create) or await self._delete(rs, todo.delete)
            rs = self._sets.get(key.name, key.namespace)
            if rs is None:
                return None
            pods = self._owned(rs)
        status = status_of(rs, pods, now, failure=failure, deleting=deleting)
        if status != rs.status:
            await self._context.client.update(msgspec.structs.replace(rs, status=status), subresource="status")
        if failure:
            raise ApiError(failure)
        wait = rs.spec.min_ready_seconds or 0
        if wait and (status.ready_replicas or 0) != (status.available_replicas or 0):
            return After(wait)
        return None

    def _owned(self, rs: ReplicaSet) -> list[Pod]:
        selector = rs.spec.selector
        return [
            pod
            for pod in self._pods.by_index("owner", rs.metadata.uid)
            if of_pods.active(pod) and matches(selector, pod.metadata.labels)
        ]

    async def _create(self, rs: ReplicaSet, count: int) -> str:
        """In batches of 1, 2, 4 … so that a refusal costs one try; the message of the refusal, if any."""
        if rs.spec.template is None:
            return ""
        batch, left = 1, count
        while left > 0:
            size = min(batch, left)
            one = of_pods.from_template(rs, rs.spec.template)
            answers = await asyncio.gather(
                *(self._context.client.create(one) for _ in range(size)), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, ApiError):
                    self._context.events.warning(rs, "FailedCreate", f"Error creating: {answer.message}")
                    return answer.message
                if isinstance(answer, BaseException):
                    raise answer
                self._context.events.normal(rs, "SuccessfulCreate", f"Created pod: {answer.metadata.name}")
            left -= size
            batch *= 2
        return ""

    async def _delete(self, rs: ReplicaSet, pods: Sequence[Pod]) -> str:
        for pod in pods:
            meta = pod.metadata
            try:
                await self._context.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
            except NotFound:
                continue
            except ApiError as error:
                self._context.events.warning(rs, "FailedDelete", f"Error deleting: {error.message}")
                return error.message
            self._context.events.normal(rs, "SuccessfulDelete", f"Deleted pod: {meta.name}")
        return ""
