"""apiextensions.k8s.io and apiregistration.k8s.io: custom resources and API services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.apiregistration_v1 import APIService
from minikube.resources.declare import CREATED_AT, columns, created_at, declare, since
from minikube.resources.rules.crd import APIServiceRules, DefinitionRules


def api_service_row(service: APIService, now: datetime) -> Sequence[Any]:
    backend = service.spec.service
    available = next((one for one in service.status.conditions if one.type == "Available"), None)
    state = "Unknown"
    if available:
        state = available.status
        if available.status != "True" and available.reason:
            state = f"{available.status} ({available.reason})"
    return (
        service.metadata.name,
        f"{backend.namespace}/{backend.name}" if backend else "Local",
        state,
        since(service, now),
    )


KINDS = (
    declare(
        CustomResourceDefinition,
        counted=True,
        strategy=DefinitionRules(),
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        status=True,
        status_metadata=(),
        columns=CREATED_AT,
        row=created_at,
    ),
    declare(
        APIService,
        strategy=APIServiceRules(),
        categories=("api-extensions",),
        status=True,
        status_metadata=(),
        columns=columns("Name", "Service", "Available", "Age"),
        row=api_service_row,
    ),
)
