"""events.k8s.io: the same events as the core group's, in newer words; stored as core v1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api import core_v1
from minikube.api.events_v1 import Event
from minikube.resources import core_event
from minikube.resources.base import Obj
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
    return core_event.event_row(_in_old_words(event), now)


def _in_old_words(event: Event) -> core_v1.Event:
    series = None
    if event.series is not None:
        series = core_v1.EventSeries(count=event.series.count, last_observed_time=event.series.last_observed_time)
    return core_v1.Event(
        metadata=event.metadata,
        involved_object=event.regarding or core_v1.ObjectReference(),
        type=event.type,
        reason=event.reason,
        message=event.note,
        source=event.deprecated_source,
        reporting_component=event.reporting_controller,
        reporting_instance=event.reporting_instance,
        event_time=event.event_time,
        first_timestamp=event.deprecated_first_timestamp,
        last_timestamp=event.deprecated_last_timestamp,
        count=event.deprecated_count,
        series=series,
    )


KINDS = (
    declare(
        Event,
        create_on_update=True,
        strategy=NewEventRules(),
        short_names=("ev",),
        columns=core_event.COLUMNS,
        row=event_row,
        events_ttl=core_event.TTL_SECONDS,
        stored_as=core_v1.Event.resource,
        to_stored=to_core,
        from_stored=from_core,
    ),
)
