"""DaemonSet: one pod on every node that it may run on. Rules: pkg/controller/daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import ControllerRevision, DaemonSet, DaemonSetStatus
from minikube.api.core_v1 import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    Toleration,
)
from minikube.api.meta import Key
from minikube.api.node_selector import matches_required
from minikube.api.owners import controller_of
from minikube.api.taints import tolerated
from minikube.api.well_known import NOT_READY, UNREACHABLE, UNSCHEDULABLE
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, Watch, itself, owner_of
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.deployment_plan import share
from minikube.controllers.podcontrol import PodControl
from minikube.controllers.revisions import REVISION, Revisions, hash_of
from minikube.errors import ApiError
from minikube.kit.backoff import Backoff

_ALWAYS = (
    (NOT_READY, "NoExecute"),
    (UNREACHABLE, "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    (UNSCHEDULABLE, "NoSchedule"),
)


class Fit(msgspec.Struct, frozen=True):
    """Whether a daemon pod should run on a node, and whether one that does may stay."""

    run: bool
    stay: bool


class Plan(msgspec.Struct, frozen=True):
    create: tuple[str, ...]
    """Names of nodes."""
    delete: tuple[Pod, ...]


def pod_for(ds: DaemonSet, node: str, hashed: str) -> Pod:
    """Bound to its node by affinity, so that the scheduler still decides whether there is room."""
    pod = of_pods.from_template(ds, ds.spec.template)
    field = NodeSelectorRequirement(key="metadata.name", operator="In", values=(node,))
    affinity = pod.spec.affinity or Affinity()
    on_nodes = affinity.node_affinity or NodeAffinity()
    # The node has already been matched against the template's own terms, so these are replaced
    # (util.ReplaceDaemonSetPodNodeNameNodeAffinity).
    term = NodeSelectorTerm(match_fields=(field,))
    on_nodes = msgspec.structs.replace(
        on_nodes,
        required_during_scheduling_ignored_during_execution=NodeSelector(node_selector_terms=(term,)),
    )
    tolerations = [Toleration(key=key, operator="Exists", effect=effect) for key, effect in _ALWAYS]
    if pod.spec.host_network:
        tolerations.append(
            Toleration(key="node.kubernetes.io/network-unavailable", operator="Exists", effect="NoSchedule")
        )
    missing = tuple(one for one in tolerations if one not in pod.spec.tolerations)
    spec = msgspec.structs.replace(
        pod.spec,
        affinity=msgspec.structs.replace(affinity, node_affinity=on_nodes),
        tolerations=(*pod.spec.tolerations, *missing),
    )
    labels = {**pod.metadata.labels, REVISION: hashed}
    return msgspec.structs.replace(pod, spec=spec, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def fit(ds: DaemonSet, node: Node) -> Fit:
    if ds.spec.template.spec is None:
        return Fit(run=False, stay=False)
    pod = of_pods.from_template(ds, ds.spec.template)
    if pod.spec.node_name and pod.spec.node_name != node.metadata.name:
        return Fit(run=False, stay=False)
    if not matches_required(pod, node):
        return Fit(run=False, stay=False)
    tolerations = pod_for(ds, node.metadata.name, "").spec.tolerations
    hard = [taint for taint in node.spec.taints if not tolerated(taint, tolerations)]
    return Fit(
        run=not any(taint.effect in ("NoSchedule", "NoExecute") for taint in hard),
        stay=not any(taint.effect == "NoExecute" for taint in hard),
    )


def node_of(pod: Pod) -> str:
    """Where it runs, or is meant to run."""
    if pod.spec.node_name:
        return pod.spec.node_name
    on_nodes = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    required = on_nodes.required_during_scheduling_ignored_during_execution if on_nodes else None
    for term in required.node_selector_terms if required else ():
        for one in term.match_fields:
            if one.key == "metadata.name" and one.operator == "In" and len(one.values) == 1:
                return one.values[0]
    return ""


def plan(ds: DaemonSet, fits: Mapping[str, Fit], pods: Sequence[Pod], hashed: str, now: datetime) -> Plan:
    """Missing pods to make, those out of place, failed or doubled to remove, and the next step of an update."""
    wait = ds.spec.min_ready_seconds or 0
    create: list[str] = []
    delete: list[Pod] = []
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        by_node.setdefault(node_of(pod), []).append(pod)
    surge, room = _limits(ds, sum(one.run for one in fits.values()))
    rolling: list[list[Pod]] = []
    for name in sorted({*fits, *by_node}):
        one = fits.get(name, Fit(run=False, stay=False))
        here = by_node.get(name, [])
        going = [pod for pod in here if pod.metadata.deletion_timestamp is not None]
        living = [pod for pod in here if pod.metadata.deletion_timestamp is None]
        failed = [pod for pod in living if pod.status.phase in ("Failed", "Succeeded")]
        running = [pod for pod in living if pod.status.phase not in ("Failed", "Succeeded")]
        if not one.stay:
            delete += living
            continue
        delete += failed
        if one.run and not running and not failed and not going:
            create.append(name)
            room -= 1
            continue
        if not running:
            room -= 1
            continue
        old, new = _old_and_new(running, hashed, now)
        delete += [*old[1:], *new[1:]]
        if old and new:
            if of_pods.available(new[0], wait, now) or not surge:
                delete.append(old[0])
            else:
                surge -= 1
        elif old:
            rolling.append(old)
        if not any(of_pods.available(pod, wait, now) for pod in running):
            room -= 1
    update = _update(ds, [pod for pod, *_ in rolling], fits, surge, room, now)
    return Plan((*create, *update.create), (*delete, *update.delete))


def _old_and_new(pods: Sequence[Pod], hashed: str, now: datetime) -> tuple[list[Pod], list[Pod]]:
    """The pods of one node by template, each group with the pod to keep first."""
    ranked = sorted(pods, key=lambda pod: (not pod.spec.node_name, not of_pods.ready(pod), _created(pod, now)))
    old = [pod for pod in ranked if pod.metadata.labels.get(REVISION) != hashed]
    return old, [pod for pod in ranked if pod.metadata.labels.get(REVISION) == hashed]


def _update(
    ds: DaemonSet, outdated: Sequence[Pod], fits: Mapping[str, Fit], surge: int, room: int, now: datetime
) -> Plan:
    """The next step of a rolling update: pods of the old template, one a node, within surge or unavailability."""
    if ds.spec.update_strategy is not None and ds.spec.update_strategy.type == "OnDelete":
        return Plan((), ())
    wait = ds.spec.min_ready_seconds or 0
    by_surge = _limits(ds, 1)[0] > 0
    create: list[str] = []
    delete: list[Pod] = []
    for pod in outdated:
        if not of_pods.available(pod, wait, now):
            delete.append(pod)
        elif by_surge and surge > 0 and fits[node_of(pod)].run:
            create.append(node_of(pod))
            surge -= 1
        elif not by_surge and room > 0:
            delete.append(pod)
            room -= 1
    return Plan(tuple(create), tuple(delete))


def _created(pod: Pod, now: datetime) -> datetime:
    return pod.metadata.creation_timestamp or now


def _limits(ds: DaemonSet, wanted: int) -> tuple[int, int]:
    """(surge, unavailable)"""
    rolling = ds.spec.update_strategy.rolling_update if ds.spec.update_strategy else None
    surge = share(rolling.max_surge if rolling and rolling.max_surge is not None else 0, wanted, up=True)
    unavailable = share(
        rolling.max_unavailable if rolling and rolling.max_unavailable is not None else 1, wanted, up=True
    )
    return surge, unavailable if surge or unavailable else 1


def status_of(
    ds: DaemonSet, fits: Mapping[str, Fit], pods: Sequence[Pod], hashed: str, now: datetime
) -> DaemonSetStatus:
    desired = current = misplaced = ready = available = updated = 0
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        if of_pods.active(pod):
            by_node.setdefault(node_of(pod), []).append(pod)
    for name, one in fits.items():
        here = by_node.get(name, [])
        if not one.run:
            misplaced += bool(here)
            continue
        desired += 1
        current += bool(here)
        ready += any(of_pods.ready(pod) for pod in here)
        available += any(of_pods.available(pod, ds.spec.min_ready_seconds or 0, now) for pod in here)
        updated += any(pod.metadata.labels.get(REVISION) == hashed for pod in here)
    return msgspec.structs.replace(
        ds.status,
        current_number_scheduled=current,
        desired_number_scheduled=desired,
        number_misscheduled=misplaced,
        number_ready=ready,
        number_available=available or None,
        number_unavailable=(desired - available) or None,
        updated_number_scheduled=updated or None,
        observed_generation=ds.metadata.generation,
    )


class DaemonSetController:
    name: ClassVar[str] = "daemon-set-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._sets = context.informers.of(DaemonSet).lister
        self._claims = Claimer(context.client, context.informers.of(Pod), Pod)
        self._control = PodControl(context.client, context.events)
        self._failures: Backoff[Key] = Backoff(base=1.0, limit=900.0)
        self._held: dict[Key, float] = {}
        """(uid of the set, node) -> until when, by the monotonic clock, its failed pod stays."""
        self._nodes = context.informers.of(Node).lister
        self._revisions = Revisions(context.client, context.informers.of(ControllerRevision).lister, REVISION)
        self._shapes: dict[str, object] = {}
        self.watches = (
            itself(DaemonSet),
            owner_or_orphan(Pod, self._sets, "DaemonSet", lambda ds: ds.spec.selector),
            owner_of(ControllerRevision, "DaemonSet"),
            Watch(Node, self._all),
        )

    def _all(self, node: Node) -> Sequence[Key]:
        """Heartbeats change nothing that a daemon set looks at."""
        name = node.metadata.name
        shape = (node.metadata.uid, node.metadata.labels, node.spec.taints)
        if self._nodes.get(name) is None:
            self._shapes.pop(name, None)
        elif self._shapes.get(name) == shape:
            return []
        else:
            self._shapes[name] = shape
        return [Key(ds.metadata.namespace, ds.metadata.name) for ds in self._sets.list()]

    async def reconcile(self, key: Key) -> After | None:
        ds = self._sets.get(key.name, key.namespace)
        if ds is None:
            return None
        now = self._context.clock.now()
        hashed, failure, held = "", "", 0.0
        fits = {node.metadata.name: fit(ds, node) for node in self._nodes.list()}
        pods = await self._claims.claim(ds, ds.spec.selector)
        if ds.metadata.deletion_timestamp is None:
            revision = await self._revisions.current(ds, ds.spec.template)
            hashed = hash_of(revision)
            pods = [await self._relabelled(pod, hashed, self._revisions.twins(ds, revision)) for pod in pods]
            todo = plan(ds, fits, pods, hashed, now)
            held = self._hold_back(ds, todo.delete)
            failure = await self._act(ds, todo, hashed)
            pods = self._owned(ds)
            live = {hashed, *(pod.metadata.labels.get(REVISION, "") for pod in pods)}
            limit = 10 if ds.spec.revision_history_limit is None else ds.spec.revision_history_limit
            await self._revisions.prune(ds, live, limit)
        fresh = self._sets.get(key.name, key.namespace)
        if fresh is None or fresh.metadata.uid != ds.metadata.uid:
            return None
        status = status_of(ds, fits, pods, hashed, now)
        if status != fresh.status:
            await self._client.update(msgspec.structs.replace(fresh, status=status), subresource="status")
        if failure:
            raise ApiError(failure)
        available = of_pods.available_in(pods, ds.spec.min_ready_seconds or 0, now)
        waits = [wait for wait in (held, available) if wait]
        return After(min(waits)) if waits else None

    async def _relabelled(self, pod: Pod, hashed: str, twins: frozenset[str]) -> Pod:
        """A pod of the present template under another revision's hash takes this one (dedupCurHistories)."""
        if pod.metadata.labels.get(REVISION) not in twins - {hashed}:
            return pod
        patch = {"metadata": {"labels": {REVISION: hashed}, "uid": pod.metadata.uid}}
        return await self._client.patch(Pod, pod.metadata.name, pod.metadata.namespace, patch=patch)

    def _owned(self, ds: DaemonSet) -> list[Pod]:
        return [
            pod
            for pod in self._claims.lister.by_index("owner", ds.metadata.uid)
            if (owner := controller_of(pod)) is not None and owner.uid == ds.metadata.uid
        ]

    def _hold_back(self, ds: DaemonSet, leaving: Sequence[Pod]) -> float:
        """A pod that fails again and again on a node is replaced ever more slowly: seconds until it may go."""
        now = self._context.clock.monotonic()
        waits = []
        for pod in leaving:
            key = Key(ds.metadata.uid, node_of(pod))
            until = self._held.get(key, 0.0)
            if pod.status.phase == "Failed" and until > now:
                waits.append(until - now)
        return min(waits, default=0.0)

    def _may_go(self, ds: DaemonSet, pod: Pod) -> bool:
        if pod.status.phase != "Failed":
            return True
        key, now = Key(ds.metadata.uid, node_of(pod)), self._context.clock.monotonic()
        if self._held.get(key, 0.0) > now:
            return False
        self._held[key] = now + self._failures.next(key)
        return True

    async def _act(self, ds: DaemonSet, todo: Plan, hashed: str) -> str:
        leaving = [pod for pod in todo.delete if self._may_go(ds, pod)]
        for pod in leaving:
            where = f"daemon pod {pod.metadata.namespace}/{pod.metadata.name} on node {node_of(pod)}"
            if pod.status.phase == "Failed":
                message = f"Found failed {where}, will try to kill it"
                self._context.events.warning(ds, "FailedDaemonPod", message)
            elif pod.status.phase == "Succeeded":
                message = f"Found succeeded {where}, will try to delete it"
                self._context.events.normal(ds, "SucceededDaemonPod", message)
        made = [pod_for(ds, node, hashed) for node in todo.create]
        return await self._control.delete(ds, leaving) or await self._control.create(ds, made)
