"""Resource quotas and limit ranges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api import quantity
from minikube.api.core_v1 import LimitRange, ResourceQuota
from minikube.resources.declare import CREATED_AT, columns, created_at, declare, since
from minikube.resources.rules.quota import LimitRangeRules, ResourceQuotaRules


def quota_row(quota: ResourceQuota, now: datetime) -> Sequence[Any]:
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted(quota.status.hard.items()):
        used = quantity.canonical(quota.status.used.get(name, "0"))
        (limits if name.startswith("limits") else requests).append(f"{name}: {used}/{quantity.canonical(hard)}")
    return quota.metadata.name, ", ".join(requests), ", ".join(limits), since(quota, now)


KINDS = (
    declare(
        ResourceQuota,
        strategy=ResourceQuotaRules(),
        short_names=("quota",),
        status=True,
        columns=columns("Name", "Request", "Limit", "Age"),
        row=quota_row,
    ),
    declare(
        LimitRange,
        create_on_update=True,
        strategy=LimitRangeRules(),
        short_names=("limits",),
        columns=CREATED_AT,
        row=created_at,
    ),
)
