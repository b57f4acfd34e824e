"""resource.k8s.io: dynamic resource allocation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.resource_v1 import (
    DeviceClass,
    DeviceTaintRule,
    ResourceClaim,
    ResourceClaimTemplate,
    ResourceSlice,
)
from minikube.resources.declare import UNSET, columns, declare, since
from minikube.resources.rules.device_claims import DeviceClassRules, ResourceClaimRules, ResourceClaimTemplateRules
from minikube.resources.rules.device_slices import DeviceTaintRuleRules, ResourceSliceRules


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
    declare(DeviceClass, counted=True, strategy=DeviceClassRules()),
    declare(DeviceTaintRule, counted=True, strategy=DeviceTaintRuleRules(), status=True, status_metadata=()),
    declare(
        ResourceClaim,
        strategy=ResourceClaimRules(),
        status=True,
        status_metadata=(),
        columns=columns("Name", "State", "Age"),
        row=claim_row,
    ),
    declare(ResourceClaimTemplate, strategy=ResourceClaimTemplateRules()),
    declare(
        ResourceSlice,
        counted=True,
        strategy=ResourceSliceRules(),
        columns=columns("Name", "Node", "Driver", "Pool", "Age"),
        row=slice_row,
    ),
)
