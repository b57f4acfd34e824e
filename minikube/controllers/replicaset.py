"""ReplicaSet: as many pods as wanted, adopted, made or removed. The lister shows our own writes at once, so no
expectations are kept. Rules: kube-controller-manager pkg/controller/replicaset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

import msgspec

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from minikube.api.core_v1 import Pod, ReplicationControllerCondition
from minikube.api.meta import Key
from minikube.api.owners import controller_of
from minikube.api.time import seconds
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.podcontrol import PodControl
from minikube.errors import ApiError

BURST = 500
FAILURE = "ReplicaFailure"
C = TypeVar("C", ReplicaSetCondition, ReplicationControllerCondition)


class Plan(msgspec.Struct, frozen=True):
    create: int
    delete: tuple[Pod, ...]


def plan(wanted: int, pods: Sequence[Pod], now: datetime, beside: Iterable[Pod] = ()) -> Plan:
    """What to make or remove among the active pods; `beside` are the pods of sibling sets."""
    surplus = len(pods) - wanted
    if surplus < 0:
        return Plan(min(-surplus, BURST), ())
    return Plan(0, tuple(of_pods.first_to_go(pods, now, beside)[: min(surplus, BURST)]))


def failure_conditions(
    kind: type[C], known: Iterable[C], failure: str, reason: str, now: datetime
) -> tuple[C, ...]:
    """The conditions with or without ReplicaFailure; one that stands is left as it was first said."""
    present = list(known)
    others = [one for one in present if one.type != FAILURE]
    if failure and len(others) != len(present):
        return tuple(present)
    if failure:
        at = seconds(now)
        others.append(kind(type=FAILURE, status="True", reason=reason, message=failure, last_transition_time=at))
    return tuple(others)


def terminating(pods: Iterable[Pod]) -> int:
    return sum(
        1
        for pod in pods
        if pod.metadata.deletion_timestamp is not None and pod.status.phase not in ("Succeeded", "Failed")
    )


def status_of(
    rs: ReplicaSet, pods: Sequence[Pod], now: datetime, *, failure: str = "", reason: str = "", going: int = 0
) -> ReplicaSetStatus:
    """`pods` are the active ones, `going` counts those that are terminating."""
    labels = rs.spec.template.metadata.labels if rs.spec.template else {}
    wait = rs.spec.min_ready_seconds or 0
    return ReplicaSetStatus(
        replicas=len(pods),
        fully_labeled_replicas=sum(1 for p in pods if labels.items() <= p.metadata.labels.items()) or None,
        ready_replicas=sum(1 for p in pods if of_pods.ready(p)) or None,
        available_replicas=sum(1 for p in pods if of_pods.available(p, wait, now)) or None,
        terminating_replicas=going,
        observed_generation=rs.metadata.generation,
        conditions=failure_conditions(ReplicaSetCondition, rs.status.conditions, failure, reason, now),
    )


class ReplicaSetController:
    name: ClassVar[str] = "replicaset-controller"
    workers: ClassVar[int] = 4

    def __init__(self, context: Context) -> None:
        self._context = context
        informer = context.informers.of(ReplicaSet)
        self._sets = informer.lister
        informer.add_index("controller", _controller)
        self._claims = Claimer(context.client, context.informers.of(Pod), Pod)
        self._control = PodControl(context.client, context.events)
        pods = owner_or_orphan(Pod, self._sets, "ReplicaSet", lambda rs: rs.spec.selector)
        self.watches = (itself(ReplicaSet), pods)

    async def reconcile(self, key: Key) -> After | None:
        rs = self._sets.get(key.name, key.namespace)
        if rs is None:
            return None
        now = self._context.clock.now()
        pods = await self._claims.claim(rs, rs.spec.selector, counts=of_pods.active)
        failure, reason = "", ""
        if rs.metadata.deletion_timestamp is None and rs.spec.template is not None:
            todo = plan(1 if rs.spec.replicas is None else rs.spec.replicas, pods, now, self._siblings_pods(rs))
            reason = "FailedDelete" if todo.delete else "FailedCreate"
            made = (of_pods.from_template(rs, rs.spec.template),) * todo.create
            failure = await self._control.create(rs, made) or await self._control.delete(rs, todo.delete)
        fresh = self._sets.get(key.name, key.namespace)
        if fresh is None or fresh.metadata.uid != rs.metadata.uid:
            return None
        every = self._claims.lister.by_index("owner", rs.metadata.uid)
        pods = [pod for pod in every if of_pods.active(pod)]
        status = status_of(fresh, pods, now, failure=failure, reason=reason, going=terminating(every))
        if status != fresh.status:
            await self._context.client.update(msgspec.structs.replace(fresh, status=status), subresource="status")
        if failure:
            raise ApiError(failure)
        wait = of_pods.available_in(pods, rs.spec.min_ready_seconds or 0, now)
        return After(wait) if wait is not None else None

    def _siblings_pods(self, rs: ReplicaSet) -> list[Pod]:
        """The pods of other sets under the same controller: where two of them share a node, one goes first."""
        owner = controller_of(rs)
        if owner is None:
            return []
        return [
            pod
            for other in self._sets.by_index("controller", owner.uid)
            if other.metadata.uid != rs.metadata.uid
            for pod in self._claims.lister.by_index("owner", other.metadata.uid)
            if of_pods.active(pod)
        ]


def _controller(obj: ReplicaSet) -> Sequence[str]:
    owner = controller_of(obj)
    return [owner.uid] if owner is not None else []
