"""Events of the core group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.core_v1 import Event
from minikube.resources.base import age
from minikube.resources.declare import columns, declare
from minikube.resources.rules.event import CoreEventRules

TTL_SECONDS = 3600.0
COLUMNS = columns(
    "Last Seen",
    "Type",
    "Reason",
    "Object",
    "+Subobject",
    "+Source",
    "Message",
    "+First Seen",
    "+Count",
    "+Name",
)


def event_row(event: Event, now: datetime) -> Sequence[Any]:
    first = event.first_timestamp or event.event_time
    last, count = event.last_timestamp or first, event.count or 1
    if event.series:
        last, count = event.series.last_observed_time, event.series.count or 0
    source = event.source
    component = (source.component if source else "") or event.reporting_component
    host = (source.host if source else "") or (
        event.reporting_instance if not (source and source.component) else ""
    )
    about = event.involved_object
    return (
        age(last, now),
        event.type,
        event.reason,
        f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower(),
        about.field_path,
        f"{component}, {host}" if host else component,
        event.message.strip(),
        age(first, now),
        count,
        event.metadata.name,
    )


KINDS = (
    declare(
        Event,
        create_on_update=True,
        strategy=CoreEventRules(),
        short_names=("ev",),
        columns=COLUMNS,
        row=event_row,
        events_ttl=TTL_SECONDS,
    ),
)
