"""flowcontrol.apiserver.k8s.io: flow schemas and priority levels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.flowcontrol_v1 import FlowSchema, PriorityLevelConfiguration
from minikube.resources.declare import NONE, columns, declare, number, since
from minikube.resources.rules.flow import FlowSchemaRules, PriorityLevelRules


def schema_row(schema: FlowSchema, now: datetime) -> Sequence[Any]:
    spec = schema.spec
    missing = next((one.status for one in schema.status.conditions if one.type == "Dangling"), "?")
    return (
        schema.metadata.name,
        spec.priority_level_configuration.name,
        number(spec.matching_precedence),
        spec.distinguisher_method.type if spec.distinguisher_method else NONE,
        since(schema, now),
        missing,
    )


def level_row(level: PriorityLevelConfiguration, now: datetime) -> Sequence[Any]:
    limited = level.spec.limited
    queuing = limited.limit_response.queuing if limited else None
    shares: int | str | None = NONE
    if limited:
        shares = limited.nominal_concurrency_shares
    return (
        level.metadata.name,
        level.spec.type,
        shares,
        queuing.queues if queuing else NONE,
        queuing.hand_size if queuing else NONE,
        queuing.queue_length_limit if queuing else NONE,
        since(level, now),
    )


KINDS = (
    declare(
        FlowSchema,
        strategy=FlowSchemaRules(),
        counted=True,
        status=True,
        status_metadata=(),
        columns=columns(
            "Name", "PriorityLevel", "MatchingPrecedence:integer", "DistinguisherMethod", "Age", "MissingPL"
        ),
        row=schema_row,
    ),
    declare(
        PriorityLevelConfiguration,
        strategy=PriorityLevelRules(),
        counted=True,
        status=True,
        status_metadata=(),
        columns=columns(
            "Name", "Type", "NominalConcurrencyShares", "Queues", "HandSize", "QueueLengthLimit", "Age"
        ),
        row=level_row,
    ),
)
