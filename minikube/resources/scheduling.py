"""scheduling.k8s.io: priority classes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.scheduling_v1 import PriorityClass
from minikube.resources.declare import columns, declare, number, since
from minikube.resources.rules.quota import PriorityClassRules


def class_row(of: PriorityClass, now: datetime) -> Sequence[Any]:
    policy = of.preemption_policy or "PreemptLowerPriority"
    return of.metadata.name, number(of.value), bool(of.global_default), since(of, now), policy


KINDS = (
    declare(
        PriorityClass,
        counted=True,
        strategy=PriorityClassRules(),
        short_names=("pc",),
        columns=columns("Name", "Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"),
        row=class_row,
    ),
)
