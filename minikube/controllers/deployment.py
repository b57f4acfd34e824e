"""Deployment: a ReplicaSet for each template, moved over within maxSurge and maxUnavailable.

Rules: kube-controller-manager pkg/controller/deployment. What to do is decided in deployment_plan, what to report
in deployment_status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from minikube.api.apps_v1 import Deployment, ReplicaSet, ReplicaSetSpec
from minikube.api.core_v1 import Pod
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.owners import controller_of, controller_reference
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.claims import Claimer, owner_or_orphan
from minikube.controllers.deployment_plan import (
    DESIRED,
    MAX,
    REVISION,
    bounds,
    by_age,
    plan_recreate,
    plan_rolling,
    plan_scale,
    replicas_of,
    revision_of,
    scaled,
)
from minikube.controllers.deployment_status import complete, deadline_in, status_of
from minikube.controllers.templates import template_hash, without_label
from minikube.errors import AlreadyExists, NotFound

HASH = "pod-template-hash"
HISTORY = "deployment.kubernetes.io/revision-history"
NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        DESIRED,
        MAX,
    }
)


def current_set(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The oldest ReplicaSet with the deployment's template."""
    wanted = without_label(deployment.spec.template, HASH)
    same = [rs for rs in sets if rs.spec.template and without_label(rs.spec.template, HASH) == wanted]
    return by_age(same)[0] if same else None


def new_set(deployment: Deployment, old: Sequence[ReplicaSet], collisions: int) -> ReplicaSet:
    """The ReplicaSet of the present template, under the next revision, as large as it may start."""
    template = deployment.spec.template
    hashed = template_hash(template, collisions)
    labels = {**template.metadata.labels, HASH: hashed}
    template = msgspec.structs.replace(template, metadata=msgspec.structs.replace(template.metadata, labels=labels))
    wanted, limit = replicas_of(deployment), replicas_of(deployment) + bounds(deployment).surge
    recreate = deployment.spec.strategy is not None and deployment.spec.strategy.type == "Recreate"
    room = wanted if recreate else limit - sum(map(replicas_of, old))
    selector = deployment.spec.selector or LabelSelector()
    return ReplicaSet(
        metadata=ObjectMeta(
            name=f"{deployment.metadata.name}-{hashed}",
            namespace=deployment.metadata.namespace,
            labels=labels,
            annotations={
                **copied_annotations(deployment),
                REVISION: str(max(map(revision_of, old), default=0) + 1),
                DESIRED: str(wanted),
                MAX: str(limit),
            },
            owner_references=(controller_reference(deployment),),
        ),
        spec=ReplicaSetSpec(
            replicas=max(0, min(wanted, room)),
            min_ready_seconds=deployment.spec.min_ready_seconds,
            selector=LabelSelector(
                match_labels={**selector.match_labels, HASH: hashed}, match_expressions=selector.match_expressions
            ),
            template=template,
        ),
    )


def copied_annotations(deployment: Deployment) -> Mapping[str, str]:
    return {key: value for key, value in deployment.metadata.annotations.items() if key not in NOT_COPIED}


def new_annotations(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Mapping[str, str]:
    """What the new ReplicaSet lacks: the deployment's annotations and, after a rollback, the next revision."""
    have = new.metadata.annotations
    wanted = dict(copied_annotations(deployment))
    highest, present = max(map(revision_of, old), default=0), revision_of(new)
    if present <= highest:
        wanted[REVISION] = str(highest + 1)
        if present:
            wanted[HISTORY] = ",".join(filter(None, (have.get(HISTORY, ""), str(present))))
    return {key: value for key, value in wanted.items() if have.get(key) != value}


def too_many(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """The oldest empty ReplicaSets beyond revisionHistoryLimit."""
    limit = deployment.spec.revision_history_limit
    if limit is None:
        return []
    alive = sorted((rs for rs in old if rs.metadata.deletion_timestamp is None), key=revision_of)
    return [
        rs
        for rs in alive[: max(0, len(alive) - limit)]
        if not rs.status.replicas
        and not replicas_of(rs)
        and rs.metadata.generation <= (rs.status.observed_generation or 0)
    ]


class DeploymentController:
    name: ClassVar[str] = "deployment-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._deployments = context.informers.of(Deployment).lister
        self._claims = Claimer(context.client, context.informers.of(ReplicaSet), ReplicaSet)
        self._pods = context.informers.of(Pod).lister
        self.watches = (
            itself(Deployment),
            owner_or_orphan(ReplicaSet, self._deployments, "Deployment", lambda one: one.spec.selector),
            Watch(Pod, self._recreating),
        )

    def _recreating(self, pod: Pod) -> Sequence[Key]:
        """A deployment that recreates waits for the last old pod."""
        owner = controller_of(pod)
        if owner is None or owner.kind != "ReplicaSet":
            return []
        rs = self._claims.lister.get(owner.name, pod.metadata.namespace)
        above = controller_of(rs) if rs is not None else None
        if above is None or above.kind != "Deployment":
            return []
        found = self._deployments.get(above.name, pod.metadata.namespace)
        return [Key(pod.metadata.namespace, above.name)] if found is not None and _recreates(found) else []

    async def reconcile(self, key: Key) -> After | None:
        deployment = self._deployments.get(key.name, key.namespace)
        if deployment is None:
            return None
        sets = await self._claims.claim(deployment, deployment.spec.selector)
        if deployment.metadata.deletion_timestamp is not None:
            return await self._report(deployment, current_set(deployment, sets), sets, rolling=False)
        new = current_set(deployment, sets)
        old = [rs for rs in sets if new is None or rs.metadata.uid != new.metadata.uid]
        if deployment.spec.paused or scaled(deployment, sets):
            if new is not None:
                new = await self._annotate(deployment, new, old)
            await self._resize(deployment, [*old, *([new] if new else ())], plan_scale(deployment, new, old))
            if deployment.spec.paused:
                await self._tidy(deployment, old)
            return await self._report_fresh(deployment, rolling=False)
        created = await self._roll(deployment, new, old)
        return await self._report_fresh(deployment, rolling=True, created=created)

    async def _roll(self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> bool:
        """One step of the rollout; whether a ReplicaSet was created for it."""
        recreate = _recreates(deployment)
        pods_left = recreate and any(
            pod.status.phase not in ("Succeeded", "Failed")
            for rs in old
            for pod in self._pods.by_index("owner", rs.metadata.uid)
        )
        created = False
        if new is not None:
            new = await self._annotate(deployment, new, old)
        elif not (recreate and (pods_left or any(map(replicas_of, old)))):
            new, created = await self._create(deployment, old), True
        if recreate:
            todo = plan_recreate(deployment, new, old, pods_left=pods_left)
        else:
            todo = plan_rolling(deployment, new, old) if new is not None else {}
        await self._resize(deployment, [*old, *([new] if new else ())], todo)
        if complete(deployment, deployment.status):
            await self._tidy(deployment, old)
        return created

    async def _report_fresh(self, deployment: Deployment, *, rolling: bool, created: bool = False) -> After | None:
        fresh = self._deployments.get(deployment.metadata.name, deployment.metadata.namespace)
        if fresh is None or fresh.metadata.uid != deployment.metadata.uid:
            return None
        sets = [
            rs
            for rs in self._claims.lister.by_index("owner", deployment.metadata.uid)
            if (owner := controller_of(rs)) is not None and owner.uid == deployment.metadata.uid
        ]
        return await self._report(fresh, current_set(fresh, sets), sets, rolling=rolling, created=created)

    async def _report(
        self,
        deployment: Deployment,
        new: ReplicaSet | None,
        sets: Sequence[ReplicaSet],
        *,
        rolling: bool,
        created: bool = False,
    ) -> After | None:
        now = self._context.clock.now()
        status = status_of(deployment, new, sets, now, rolling=rolling, created=created)
        if status != deployment.status:
            await self._client.update(msgspec.structs.replace(deployment, status=status), subresource="status")
        wait = deadline_in(deployment, status, now) if rolling else None
        return After(wait) if wait is not None else None

    async def _annotate(self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> ReplicaSet:
        """Bring the new ReplicaSet's annotations and minReadySeconds, and the deployment's revision, up to date."""
        patch: dict[str, object] = {}
        annotations = new_annotations(deployment, new, old)
        if annotations:
            patch["metadata"] = {"annotations": annotations}
        if (new.spec.min_ready_seconds or 0) != (deployment.spec.min_ready_seconds or 0):
            patch["spec"] = {"minReadySeconds": deployment.spec.min_ready_seconds or 0}
        if patch:
            new = await self._client.patch(ReplicaSet, new.metadata.name, new.metadata.namespace, patch=patch)
        await self._mark(deployment, new)
        return new

    async def _mark(self, deployment: Deployment, new: ReplicaSet) -> None:
        revision = new.metadata.annotations.get(REVISION, "")
        if deployment.metadata.annotations.get(REVISION) != revision:
            patch = {"metadata": {"annotations": {REVISION: revision}}}
            meta = deployment.metadata
            await self._client.patch(Deployment, meta.name, meta.namespace, patch=patch, subresource="status")

    async def _create(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
        """Raises AlreadyExists after a hash collision: the next try has another hash."""
        collisions = deployment.status.collision_count or 0
        try:
            made = await self._client.create(new_set(deployment, old, collisions))
        except AlreadyExists:
            patch = {"status": {"collisionCount": collisions + 1}}
            meta = deployment.metadata
            await self._client.patch(Deployment, meta.name, meta.namespace, patch=patch, subresource="status")
            raise
        if replicas_of(made):
            self._tell(deployment, made, 0, replicas_of(made))
        await self._mark(deployment, made)
        return made

    async def _resize(self, deployment: Deployment, sets: Sequence[ReplicaSet], todo: Mapping[str, int]) -> None:
        told = {
            DESIRED: str(replicas_of(deployment)),
            MAX: str(replicas_of(deployment) + bounds(deployment).surge),
        }
        for rs in sets:
            replicas = todo.get(rs.metadata.name)
            if replicas is None:
                continue
            if replicas == replicas_of(rs) and told.items() <= rs.metadata.annotations.items():
                continue
            patch = {"metadata": {"annotations": told}, "spec": {"replicas": replicas}}
            await self._client.patch(ReplicaSet, rs.metadata.name, rs.metadata.namespace, patch=patch)
            if replicas != replicas_of(rs):
                self._tell(deployment, rs, replicas_of(rs), replicas)

    def _tell(self, deployment: Deployment, rs: ReplicaSet, before: int, after: int) -> None:
        way = "up" if after > before else "down"
        message = f"Scaled {way} replica set {rs.metadata.name} from {before} to {after}"
        self._context.events.normal(deployment, "ScalingReplicaSet", message)

    async def _tidy(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        for rs in too_many(deployment, old):
            try:
                await self._client.delete(ReplicaSet, rs.metadata.name, rs.metadata.namespace, uid=rs.metadata.uid)
            except NotFound:
                continue


def _recreates(deployment: Deployment) -> bool:
    return deployment.spec.strategy is not None and deployment.spec.strategy.type == "Recreate"
