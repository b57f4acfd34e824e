"""coordination.k8s.io: leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.coordination_v1 import Lease
from minikube.resources.declare import columns, declare, since
from minikube.resources.rules.endpoint import LeaseRules


def lease_row(lease: Lease, now: datetime) -> Sequence[Any]:
    return lease.metadata.name, lease.spec.holder_identity, since(lease, now)


KINDS = (
    declare(
        Lease, strategy=LeaseRules(), columns=columns("Name", "Holder", "Age"), row=lease_row, create_on_update=True
    ),
)
