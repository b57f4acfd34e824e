"""Replication controllers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.core_v1 import ReplicationController
from minikube.resources.base import ScalePaths
from minikube.resources.declare import REPLICAS, containers, declare, images, labels, number, since
from minikube.resources.rules.workload import ReplicationControllerRules


def controller_row(controller: ReplicationController, now: datetime) -> Sequence[Any]:
    spec, status = controller.spec, controller.status
    return (
        controller.metadata.name,
        number(spec.replicas),
        status.replicas,
        number(status.ready_replicas),
        since(controller, now),
        containers(spec.template),
        images(spec.template),
        labels(spec.selector),
    )


KINDS = (
    declare(
        ReplicationController,
        counted=True,
        strategy=ReplicationControllerRules(),
        short_names=("rc",),
        categories=("all",),
        status=True,
        scale=ScalePaths(selector="spec.selector"),
        columns=REPLICAS,
        row=controller_row,
    ),
)
