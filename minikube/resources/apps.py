"""apps: deployments, replica sets, stateful sets, daemon sets and controller revisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.apps_v1 import ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet
from minikube.api.owners import controller_of
from minikube.resources.base import ScalePaths
from minikube.resources.declare import (
    NONE,
    REPLICAS,
    columns,
    containers,
    declare,
    images,
    labels,
    number,
    selector,
    since,
)
from minikube.resources.rules.workload import (
    ControllerRevisionRules,
    DaemonSetRules,
    DeploymentRules,
    ReplicaSetRules,
    StatefulSetRules,
)

_SCALE = ScalePaths(selector="spec.selector")


def deployment_row(deployment: Deployment, now: datetime) -> Sequence[Any]:
    spec, status = deployment.spec, deployment.status
    return (
        deployment.metadata.name,
        f"{number(status.ready_replicas)}/{number(spec.replicas)}",
        number(status.updated_replicas),
        number(status.available_replicas),
        since(deployment, now),
        containers(spec.template),
        images(spec.template),
        selector(spec.selector),
    )


def replica_set_row(replica_set: ReplicaSet, now: datetime) -> Sequence[Any]:
    spec, status = replica_set.spec, replica_set.status
    return (
        replica_set.metadata.name,
        number(spec.replicas),
        status.replicas,
        number(status.ready_replicas),
        since(replica_set, now),
        containers(spec.template),
        images(spec.template),
        selector(spec.selector),
    )


def stateful_set_row(stateful_set: StatefulSet, now: datetime) -> Sequence[Any]:
    spec = stateful_set.spec
    return (
        stateful_set.metadata.name,
        f"{number(stateful_set.status.ready_replicas)}/{number(spec.replicas)}",
        since(stateful_set, now),
        containers(spec.template),
        images(spec.template),
    )


def daemon_set_row(daemon_set: DaemonSet, now: datetime) -> Sequence[Any]:
    spec, status = daemon_set.spec, daemon_set.status
    return (
        daemon_set.metadata.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        number(status.updated_number_scheduled),
        number(status.number_available),
        labels(spec.template.spec.node_selector),
        since(daemon_set, now),
        containers(spec.template),
        images(spec.template),
        selector(spec.selector),
    )


def revision_row(revision: ControllerRevision, now: datetime) -> Sequence[Any]:
    owner, shown = controller_of(revision), NONE
    if owner:
        group = owner.api_version.rpartition("/")[0]
        shown = f"{owner.kind.lower()}{'.' + group if group else ''}/{owner.name}"
    return revision.metadata.name, shown, number(revision.revision), since(revision, now)


KINDS = (
    declare(
        Deployment,
        counted=True,
        strategy=DeploymentRules(),
        short_names=("deploy",),
        categories=("all",),
        status=True,
        status_metadata=("annotations", "finalizers", "ownerReferences"),
        scale=_SCALE,
        columns=columns(
            "Name",
            "Ready",
            "Up-to-date:integer",
            "Available:integer",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ),
        row=deployment_row,
    ),
    declare(
        ReplicaSet,
        counted=True,
        strategy=ReplicaSetRules(),
        short_names=("rs",),
        categories=("all",),
        status=True,
        scale=_SCALE,
        columns=REPLICAS,
        row=replica_set_row,
    ),
    declare(
        StatefulSet,
        counted=True,
        strategy=StatefulSetRules(),
        short_names=("sts",),
        categories=("all",),
        status=True,
        scale=_SCALE,
        columns=columns("Name", "Ready", "Age", "+Containers", "+Images"),
        row=stateful_set_row,
    ),
    declare(
        DaemonSet,
        counted=True,
        strategy=DaemonSetRules(),
        short_names=("ds",),
        categories=("all",),
        status=True,
        columns=columns(
            "Name",
            "Desired:integer",
            "Current:integer",
            "Ready:integer",
            "Up-to-date:integer",
            "Available:integer",
            "Node Selector",
            "Age",
            "+Containers",
            "+Images",
            "+Selector",
        ),
        row=daemon_set_row,
    ),
    declare(
        ControllerRevision,
        strategy=ControllerRevisionRules(),
        columns=columns("Name", "Controller", "Revision:integer", "Age"),
        row=revision_row,
    ),
)
