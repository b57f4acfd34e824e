"""What events may say (ValidateEventCreate, ValidateEventUpdate), and the fields they are found by.

Both kinds of events are judged in one form, so errors name the fields of the core kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from minikube.api import core_v1, events_v1
from minikube.api.names import qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.base import Strategy
from minikube.resources.rules.invalid import immutable, invalid, required

_NOTE = 1024
_NAMES = 128


def event_fields(event: core_v1.Event) -> Mapping[str, str]:
    about, source = event.involved_object, event.source or core_v1.EventSource()
    return {
        "involvedObject.kind": about.kind,
        "involvedObject.namespace": about.namespace,
        "involvedObject.name": about.name,
        "involvedObject.uid": about.uid,
        "involvedObject.apiVersion": about.api_version,
        "involvedObject.resourceVersion": about.resource_version,
        "involvedObject.fieldPath": about.field_path,
        "reason": event.reason,
        "reportingComponent": event.reporting_component,
        "source": source.component or event.reporting_component,
        "type": event.type,
    }


class CoreEventRules(Strategy[core_v1.Event]):
    def validate(self, new: core_v1.Event, old: core_v1.Event | None) -> Iterator[FieldError]:
        yield from _place(new.metadata.namespace, new.involved_object.namespace, new=new.event_time is not None)
        if new.event_time is not None:
            said = _Said(new.reporting_component, new.reporting_instance, new.action, new.reason, new.message)
            yield from _said(said)

    def fields(self, obj: core_v1.Event) -> Mapping[str, str]:
        return event_fields(obj)


class NewEventRules(Strategy[events_v1.Event]):
    def validate(self, new: events_v1.Event, old: events_v1.Event | None) -> Iterator[FieldError]:
        about = new.regarding.namespace if new.regarding else ""
        yield from _place(new.metadata.namespace, about, new=new.event_time is not None)
        if new.event_time is not None:
            said = _Said(new.reporting_controller, new.reporting_instance, new.action, new.reason, new.note)
            yield from _said(said)
        if old is None or new.series != old.series:
            yield from _series(new)
        if old is None:
            yield from _new(new)
        else:
            for name, now, before in (
                ("involvedObject", new.regarding, old.regarding),
                ("reason", new.reason, old.reason),
                ("message", new.note, old.note),
                ("source", new.deprecated_source, old.deprecated_source),
                ("firstTimestamp", new.deprecated_first_timestamp, old.deprecated_first_timestamp),
                ("lastTimestamp", new.deprecated_last_timestamp, old.deprecated_last_timestamp),
                ("count", new.deprecated_count, old.deprecated_count),
                ("type", new.type, old.type),
                ("eventTime", new.event_time, old.event_time),
                ("action", new.action, old.action),
                ("related", new.related, old.related),
                ("reportingController", new.reporting_controller, old.reporting_controller),
                ("reportingInstance", new.reporting_instance, old.reporting_instance),
            ):
                yield from immutable(name, now, before)

    def fields(self, obj: events_v1.Event) -> Mapping[str, str]:
        about = obj.regarding or core_v1.ObjectReference()
        return {
            "regarding.kind": about.kind,
            "regarding.namespace": about.namespace,
            "regarding.name": about.name,
            "regarding.uid": about.uid,
            "regarding.apiVersion": about.api_version,
            "regarding.resourceVersion": about.resource_version,
            "regarding.fieldPath": about.field_path,
            "reason": obj.reason,
            "reportingController": obj.reporting_controller,
            "type": obj.type,
        }


class _Said(NamedTuple):
    """What an event of the new kind has to say."""

    controller: str
    instance: str
    action: str
    reason: str
    note: str


def _place(namespace: str, about: str, *, new: bool) -> Iterator[FieldError]:
    """An event is where the object is that it is about; without one in default, new ones in kube-system, too."""
    homes = ("default", "kube-system") if new else ("", "default")
    if (about and about != namespace and not new) or (not about and namespace not in homes):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def _said(event: _Said) -> Iterator[FieldError]:
    if not event.controller:
        yield required("reportingController")
    for why in qualified_name_problems(event.controller):
        yield invalid("reportingController", event.controller, why)
    for name, value in (
        ("reportingInstance", event.instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not value:
            yield required(name)
        if len(value.encode()) > _NAMES:
            yield invalid(name, "", f"can have at most {_NAMES} characters")
    if len(event.note.encode()) > _NOTE:
        yield invalid("message", "", f"can have at most {_NOTE} characters")


def _series(event: events_v1.Event) -> Iterator[FieldError]:
    if event.series:
        if event.series.count < 2:
            yield invalid("series.count", "", "should be at least 2")
        if event.series.last_observed_time is None:
            yield required("series.lastObservedTime")


def _new(event: events_v1.Event) -> Iterator[FieldError]:
    if event.event_time is None:
        yield required("eventTime")
    if event.type not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {event.type}")
    source = event.deprecated_source
    for name, given in (
        ("firstTimestamp", event.deprecated_first_timestamp),
        ("lastTimestamp", event.deprecated_last_timestamp),
        ("count", event.deprecated_count),
        ("source", source is not None and (source.component or source.host)),
    ):
        if given:
            yield invalid(name, "", "needs to be unset")
