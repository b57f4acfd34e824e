"""ReplicationController: the ReplicaSet's elder; its selector is a plain map. Rules: pkg/controller/replication."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import (
    Pod,
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)
from minikube.api.meta import Key
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, itself
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.podcontrol import PodControl
from minikube.controllers.replicaset import failure_conditions, plan
from minikube.errors import ApiError


def selector_of(rc: ReplicationController) -> LabelSelector:
    return LabelSelector(match_labels=rc.spec.selector)


def status_of(
    rc: ReplicationController, pods: Sequence[Pod], now: datetime, *, failure: str = "", reason: str = ""
) -> ReplicationControllerStatus:
    labels = rc.spec.template.metadata.labels if rc.spec.template else {}
    wait = rc.spec.min_ready_seconds or 0
    known = rc.status.conditions
    return ReplicationControllerStatus(
        replicas=len(pods),
        fully_labeled_replicas=sum(1 for p in pods if labels.items() <= p.metadata.labels.items()) or None,
        ready_replicas=sum(1 for p in pods if of_pods.ready(p)) or None,
        available_replicas=sum(1 for p in pods if of_pods.available(p, wait, now)) or None,
        observed_generation=rc.metadata.generation,
        conditions=failure_conditions(ReplicationControllerCondition, known, failure, reason, now),
    )


class ReplicationControllerController:
    name: ClassVar[str] = "replication-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sets = context.informers.of(ReplicationController).lister
        self._claims = Claimer(context.client, context.informers.of(Pod), Pod)
        self._control = PodControl(context.client, context.events)
        pods = owner_or_orphan(Pod, self._sets, "ReplicationController", selector_of)
        self.watches = (itself(ReplicationController), pods)

    async def reconcile(self, key: Key) -> After | None:
        rc = self._sets.get(key.name, key.namespace)
        if rc is None:
            return None
        now = self._context.clock.now()
        pods = await self._claims.claim(rc, selector_of(rc), counts=of_pods.active)
        failure, reason = "", ""
        if rc.metadata.deletion_timestamp is None and rc.spec.template is not None:
            todo = plan(1 if rc.spec.replicas is None else rc.spec.replicas, pods, now)
            reason = "FailedDelete" if todo.delete else "FailedCreate"
            made = (of_pods.from_template(rc, rc.spec.template),) * todo.create
            failure = await self._control.create(rc, made) or await self._control.delete(rc, todo.delete)
        fresh = self._sets.get(key.name, key.namespace)
        if fresh is None or fresh.metadata.uid != rc.metadata.uid:
            return None
        pods = [pod for pod in self._claims.lister.by_index("owner", rc.metadata.uid) if of_pods.active(pod)]
        status = status_of(fresh, pods, now, failure=failure, reason=reason)
        if status != fresh.status:
            await self._context.client.update(msgspec.structs.replace(fresh, status=status), subresource="status")
        if failure:
            raise ApiError(failure)
        wait = of_pods.available_in(pods, rc.spec.min_ready_seconds or 0, now)
        return After(wait) if wait is not None else None
