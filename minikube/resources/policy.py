"""policy: disruption budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.resources.declare import columns, declare, number, since
from minikube.resources.rules.scaling import DisruptionBudgetRules


def _bound(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


def budget_row(budget: PodDisruptionBudget, now: datetime) -> Sequence[Any]:
    return (
        budget.metadata.name,
        _bound(budget.spec.min_available),
        _bound(budget.spec.max_unavailable),
        number(budget.status.disruptions_allowed),
        since(budget, now),
    )


KINDS = (
    declare(
        PodDisruptionBudget,
        counted=True,
        strategy=DisruptionBudgetRules(),
        short_names=("pdb",),
        status=True,
        columns=columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"),
        row=budget_row,
    ),
)
