"""events.k8s.io: the same events as the core group's, in newer words; stored as core v1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api import core_v1
from minikube.api.events_v1 import Event
from minikube.resources.base import Obj, age
from minikube.resources.core_event import COLUMNS, TTL_SECONDS
from minikube.resources.declare import declare
from minikube.resources.rules.event import NewEventRules

_TO_CORE = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_FROM_CORE = {core: new for new, core in _TO_CORE.items()}


def to_core(event: Obj) -> Obj:
    """events.k8s.io/v1 -> v1."""
    core = {_TO_CORE.get(name, name): value for name, value in event.items()}
    core["apiVersion"] = "v1"
    core.setdefault("involvedObject", {})
    return core


def from_core(event: Obj) -> Obj:
    """v1 -> events.k8s.io/v1."""
    new = {_FROM_CORE.get(name, name): value for name, value in event.items()}
    new["apiVersion"] = "events.k8s.io/v1"
    return new


def event_row(event: Event, now: datetime) -> Sequence[Any]:
    first = event.deprecated_first_timestamp or event.event_time
    last, count = event.deprecated_last_timestamp or first, event.deprecated_count or 1
    if event.series:
        last, count = event.series.last_observed_time, event.series.count
    about = event.regarding or core_v1.ObjectReference()
    old = event.deprecated_source or core_v1.EventSource()
    component = old.component or event.reporting_controller
    host = old.host or ("" if old.component else event.reporting_instance)
    return (
        age(last, now),
        event.type,
        event.reason,
        f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower(),
        about.field_path,
        f"{component}, {host}" if host else component,
        event.note.strip(),
        age(first, now),
        count,
        event.metadata.name,
    )


KINDS = (
    declare(
        Event,
        create_on_update=True,
        strategy=NewEventRules(),
        short_names=("ev",),
        columns=COLUMNS,
        row=event_row,
        events_ttl=TTL_SECONDS,
        stored_as=core_v1.Event.resource,
        to_stored=to_core,
        from_stored=from_core,
    ),
)
