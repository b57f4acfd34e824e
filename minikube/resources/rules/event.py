"""What events may say (ValidateEvent), and the fields they are found by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from minikube.api import core_v1, events_v1
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
        about, namespace = new.involved_object.namespace, new.metadata.namespace
        if (not about and namespace not in ("default", "kube-system", "")) or (about and about != namespace):
            yield invalid("involvedObject.namespace", about, "does not match event.namespace")

    def fields(self, obj: core_v1.Event) -> Mapping[str, str]:
        return event_fields(obj)


class NewEventRules(Strategy[events_v1.Event]):
    def validate(self, new: events_v1.Event, old: events_v1.Event | None) -> Iterator[FieldError]:
        about = new.regarding.namespace if new.regarding else ""
        namespace = new.metadata.namespace
        if (about and about != namespace) or (not about and namespace not in ("default", "kube-system")):
            yield invalid("regarding.namespace", about, "does not match event.namespace")
        if old is None:
            yield from _new(new)
        else:
            for name, now, before in (
                ("eventTime", new.event_time, old.event_time),
                ("reportingController", new.reporting_controller, old.reporting_controller),
                ("reportingInstance", new.reporting_instance, old.reporting_instance),
                ("action", new.action, old.action),
                ("reason", new.reason, old.reason),
                ("regarding", new.regarding, old.regarding),
                ("related", new.related, old.related),
                ("note", new.note, old.note),
                ("type", new.type, old.type),
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


def _new(event: events_v1.Event) -> Iterator[FieldError]:
    if event.event_time is None:
        yield required("eventTime")
    for name, value in (
        ("reportingController", event.reporting_controller),
        ("reportingInstance", event.reporting_instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not value:
            yield required(name)
        elif len(value) > _NAMES:
            yield invalid(name, "", f"can have at most {_NAMES} characters")
    if event.type not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {event.type}")
    if len(event.note) > _NOTE:
        yield invalid("note", "", f"can have at most {_NOTE} characters")
    if event.series:
        if event.series.count < 2:
            yield invalid("series.count", "", "should be at least 2")
        if event.series.last_observed_time is None:
            yield required("series.lastObservedTime")
