"""resource.k8s.io: dynamic resource allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from minikube.api.resource_v1 import (
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceClaimTemplate,
    ResourceSlice,
)
from minikube.resources.base import Strategy
from minikube.resources.declare import UNSET, columns, declare, since


class SliceRules(Strategy[ResourceSlice]):
    def fields(self, obj: ResourceSlice) -> Mapping[str, str]:
        return {"spec.nodeName": obj.spec.node_name or "", "spec.driver": obj.spec.driver}


def _states(claim: ResourceClaim) -> str:
    states = []
    if claim.metadata.deletion_timestamp:
        states.append("deleted")
    if claim.status.allocation is None:
        if not claim.metadata.deletion_timestamp:
            states.append("pending")
    else:
        states.append("allocated")
        if claim.status.reserved_for:
            states.append("reserved")
    return ",".join(states)


def claim_row(claim: ResourceClaim, now: datetime) -> Sequence[Any]:
    return claim.metadata.name, _states(claim), since(claim, now)


def slice_row(of: ResourceSlice, now: datetime) -> Sequence[Any]:
    return of.metadata.name, of.spec.node_name or UNSET, of.spec.driver, of.spec.pool.name, since(of, now)


KINDS = (
    declare(DeviceClass, counted=True),
    declare(DeviceTaintRule, counted=True, status=True, status_metadata=()),
    declare(ResourceClaim, status=True, status_metadata=(), columns=columns("Name", "State", "Age"), row=claim_row),
    declare(ResourceClaimTemplate),
    declare(
        ResourceSlice,
        counted=True,
        strategy=SliceRules(),
        columns=columns("Name", "Node", "Driver", "Pool", "Age"),
        row=slice_row,
    ),
)
