"""PodDisruptionBudgets: how many of the selected pods may be evicted now. Rules: pkg/controller/disruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec

from minikube.api.apps_v1 import Deployment, ReplicaSet, StatefulSet
from minikube.api.core_v1 import Pod, ReplicationController
from minikube.api.meta import Key, Object, OwnerReference
from minikube.api.meta_v1 import Condition
from minikube.api.owners import controller_of
from minikube.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetStatus
from minikube.api.selectors import matches, selector_text
from minikube.api.time import seconds
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.deployment_plan import share
from minikube.controllers.scales import Scales
from minikube.errors import ApiError

DELETION_TIMEOUT = timedelta(minutes=2)
"""So long an evicted pod may take to be marked as deleted before it counts again."""
STALE_AFTER = timedelta(minutes=2)
ALLOWED = "DisruptionAllowed"
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
    "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for "
    'these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class Expected(msgspec.Struct, frozen=True):
    """How many pods there should be, and how many of them must be healthy."""

    pods: int
    healthy: int


class Unknowable(Exception):
    """A pod's controller, or its scale, cannot be found."""


def selects(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """policy/v1: an empty selector selects every pod of the namespace."""
    return pod.metadata.namespace == budget.metadata.namespace and matches(
        budget.spec.selector, pod.metadata.labels
    )


def needs_scale(budget: PodDisruptionBudget) -> bool:
    """A number of pods that must stay needs no scale to be counted against."""
    return budget.spec.max_unavailable is not None or isinstance(budget.spec.min_available, str)


def expected(budget: PodDisruptionBudget, pods: int, scale: int) -> Expected:
    """`scale`: what the pods' controllers want together."""
    spec = budget.spec
    if spec.max_unavailable is not None:
        return Expected(scale, max(0, scale - share(spec.max_unavailable, scale, up=True)))
    if isinstance(spec.min_available, str):
        return Expected(scale, share(spec.min_available, scale, up=True))
    return Expected(pods, spec.min_available or 0) if spec.min_available is not None else Expected(0, 0)


def still_disrupted(
    budget: PodDisruptionBudget, pods: Sequence[Pod], now: datetime
) -> tuple[Mapping[str, datetime], Sequence[Pod]]:
    """Pods that were evicted and are not marked as deleted yet; and those that should have been by now."""
    waiting, overdue = {}, []
    for pod in pods:
        at = budget.status.disrupted_pods.get(pod.metadata.name)
        if at is None or pod.metadata.deletion_timestamp is not None:
            continue
        if at + DELETION_TIMEOUT < now:
            overdue.append(pod)
        else:
            waiting[pod.metadata.name] = at
    return waiting, overdue


def status_of(
    budget: PodDisruptionBudget,
    pods: Sequence[Pod],
    wanted: Expected,
    disrupted: Mapping[str, datetime],
    now: datetime,
) -> PodDisruptionBudgetStatus:
    healthy = sum(
        1
        for pod in pods
        if pod.metadata.deletion_timestamp is None and pod.metadata.name not in disrupted and of_pods.ready(pod)
    )
    allowed = max(0, healthy - wanted.healthy) if wanted.pods > 0 else 0
    status, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    return PodDisruptionBudgetStatus(
        current_healthy=healthy,
        desired_healthy=wanted.healthy,
        expected_pods=wanted.pods,
        disruptions_allowed=allowed,
        disrupted_pods=disrupted,
        observed_generation=budget.metadata.generation,
        conditions=with_condition(budget, status, reason, "", now),
    )


def failed(budget: PodDisruptionBudget, why: str, now: datetime) -> PodDisruptionBudgetStatus:
    """Nothing can be said, so nothing is allowed."""
    return msgspec.structs.replace(
        budget.status,
        disruptions_allowed=0,
        observed_generation=budget.metadata.generation,
        conditions=with_condition(budget, "False", "SyncFailed", why, now),
    )


def with_condition(
    budget: PodDisruptionBudget, status: str, reason: str, message: str, now: datetime
) -> tuple[Condition, ...]:
    known = next((one for one in budget.status.conditions if one.type == ALLOWED), None)
    since = known.last_transition_time if known is not None and known.status == status else seconds(now)
    made = Condition(
        type=ALLOWED,
        status=status,
        reason=reason,
        message=message,
        observed_generation=budget.metadata.generation,
        last_transition_time=since,
    )
    return (*(one for one in budget.status.conditions if one.type != ALLOWED), made)


class DisruptionController:
    name: ClassVar[str] = "disruption-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        informers = context.informers
        self._budgets = informers.of(PodDisruptionBudget).lister
        self._pods = informers.of(Pod).lister
        self._owners: dict[str, Any] = {
            "ReplicaSet": informers.of(ReplicaSet).lister,
            "StatefulSet": informers.of(StatefulSet).lister,
            "ReplicationController": informers.of(ReplicationController).lister,
            "Deployment": informers.of(Deployment).lister,
        }
        self._scales = Scales(context.client)
        scaled = (ReplicaSet, StatefulSet, ReplicationController, Deployment)
        self.watches = (
            itself(PodDisruptionBudget),
            Watch(Pod, self._of_pod),
            *(Watch(kind, self._of_owner) for kind in scaled),
        )

    def _of_pod(self, pod: Pod) -> Sequence[Key]:
        return [
            Key(budget.metadata.namespace, budget.metadata.name)
            for budget in self._budgets.list(pod.metadata.namespace)
            if selects(budget, pod)
        ]

    def _of_owner(self, owner: Object) -> Sequence[Key]:
        """A change of scale matters to budgets that are a share of it."""
        template = getattr(owner, "spec", None)
        template = getattr(template, "template", None)
        labels = template.metadata.labels if template is not None else {}
        return [
            Key(budget.metadata.namespace, budget.metadata.name)
            for budget in self._budgets.list(owner.metadata.namespace)
            if needs_scale(budget) and matches(budget.spec.selector, labels)
        ]

    async def reconcile(self, key: Key) -> After | None:
        budget = self._budgets.get(key.name, key.namespace)
        if budget is None:
            return None
        now = self._context.clock.now()
        pods = [pod for pod in self._pods.list(key.namespace) if selects(budget, pod)]
        if not pods:
            self._context.events.normal(budget, "NoPods", "No matching pods found")
        disrupted, overdue = still_disrupted(budget, pods, now)
        for pod in overdue:
            message = f"Pod was expected by PDB {key.namespace}/{key.name} to be deleted but it wasn't"
            self._context.events.warning(pod, "NotDeleted", message)
        try:
            scale = await self._scale(budget, pods) if needs_scale(budget) else 0
        except Unknowable as error:
            message = f"Failed to calculate the number of expected pods: {error}"
            self._context.events.warning(budget, "CalculateExpectedPodCountFailed", message)
            status = failed(budget, str(error), now)
        else:
            status = status_of(budget, pods, expected(budget, len(pods), scale), disrupted, now)
        if status != budget.status:
            changed = msgspec.structs.replace(budget, status=status)
            await self._context.client.update(changed, subresource="status")
        if not disrupted:
            return None
        return After((min(disrupted.values()) + DELETION_TIMEOUT - now).total_seconds() + 1)

    async def _scale(self, budget: PodDisruptionBudget, pods: Sequence[Pod]) -> int:
        """The sum over the controllers of these pods. Raises Unknowable."""
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                unmanaged = True
            elif owner.uid not in scales:
                found = await self._scale_of(owner, pod)
                scales[owner.uid] = 0
                scales[found.uid] = found.replicas
        if unmanaged:
            message = UNMANAGED.format(selector=selector_text(budget.spec.selector))
            self._context.events.warning(budget, "UnmanagedPods", message)
        return sum(scales.values())

    async def _scale_of(self, owner: OwnerReference, pod: Pod) -> Scaled:
        """Of a ReplicaSet the Deployment above it counts."""
        namespace = pod.metadata.namespace
        lister = self._owners.get(owner.kind)
        found = lister.get(owner.name, namespace) if lister is not None else None
        if found is not None and found.metadata.uid == owner.uid:
            above = controller_of(found)
            if above is not None and above.kind == "Deployment":
                deployment = self._owners["Deployment"].get(above.name, namespace)
                if deployment is not None and deployment.metadata.uid == above.uid:
                    found = deployment
            return Scaled(found.metadata.uid, 1 if found.spec.replicas is None else found.spec.replicas)
        if lister is not None:
            raise Unknowable(f'found no controllers for pod "{pod.metadata.name}"')
        try:
            scale = await self._scales.get(owner.api_version, owner.kind, owner.name, namespace)
        except ApiError as error:
            raise Unknowable(error.message) from error
        if scale is None:
            group = owner.api_version.partition("/")[0]
            raise Unknowable(f"{owner.kind.lower()}s.{group} does not implement the scale subresource")
        return Scaled(owner.uid, scale.spec.replicas or 0)


class Scaled(msgspec.Struct, frozen=True):
    uid: str
    replicas: int


class StaleDisruptionController:
    """A pod that was to be disrupted and is still there after two minutes is not to be disrupted any more."""

    name: ClassVar[str] = "disruption-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pods = context.informers.of(Pod).lister
        self.watches = (Watch(Pod, _targeted),)

    async def reconcile(self, key: Key) -> After | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or not _targeted(pod):
            return None
        now = self._context.clock.now()
        condition = next(one for one in pod.status.conditions if one.type == "DisruptionTarget")
        left = STALE_AFTER - (now - (condition.last_transition_time or now))
        if left > timedelta(0):
            return After(left.total_seconds())
        fresh = msgspec.structs.replace(
            condition, status="False", reason="", message="", last_transition_time=seconds(now)
        )
        conditions = tuple(fresh if one.type == fresh.type else one for one in pod.status.conditions)
        status = msgspec.structs.replace(pod.status, conditions=conditions)
        await self._context.client.update(msgspec.structs.replace(pod, status=status), subresource="status")
        return None


def _targeted(pod: Pod) -> Sequence[Key]:
    if pod.metadata.deletion_timestamp is not None or pod.status.phase in ("Succeeded", "Failed"):
        return []
    for one in pod.status.conditions:
        if one.type == "DisruptionTarget" and one.status == "True" and one.reason != "TerminationByKubelet":
            return [Key(pod.metadata.namespace, pod.metadata.name)]
    return []
