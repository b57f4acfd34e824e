"""instrumentation/events: one event under both of its APIs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance
CORE, EVENTS = "v1/Event", "events.k8s.io/v1/Event"
TIME = "2017-09-19T13:49:16.000000Z"


def core(space: Space, name: str, label: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "labels": {label: "true"}},
        "message": f"This is {name}",
        "reason": "Test",
        "type": "Normal",
        "count": 1,
        "involvedObject": {"namespace": space.name},
    }


def new(space: Space, name: str, label: str) -> Obj:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "labels": {label: "true"}},
        "regarding": {"namespace": space.name},
        "eventTime": TIME,
        "note": f"This is {name}",
        "action": "Do",
        "reason": "Test",
        "type": "Normal",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }


def names(found: Any) -> list[tuple[str, str]]:
    return [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found]


def everywhere(space: Space, root: str) -> list[tuple[str, str]]:
    return names(space.http.get(f"{root}/events?labelSelector=testevent-constant=true").ok()["items"])


def without_bookkeeping(event: Obj) -> Obj:
    metadata = {k: v for k, v in event["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**event, "metadata": metadata}


@row("Events API should ensure that an event can be fetched, patched, deleted, and listed")
def test_the_life_of_an_event_of_the_new_api(space: Space):
    space.create(new(space, "event-test", "testevent-constant"))
    assert (space.name, "event-test") in everywhere(space, "/apis/events.k8s.io/v1")
    assert names(space.list(EVENTS, labelSelector="testevent-constant=true")) == [(space.name, "event-test")]
    assert names(space.list(CORE, fieldSelector="source=test-controller")) == [(space.name, "event-test")]
    assert names(space.list(EVENTS, fieldSelector="reportingController=test-controller")) == [
        (space.name, "event-test")
    ]
    before = space.get(EVENTS, "event-test")
    before["series"] = {"count": 2, "lastObservedTime": "2017-09-19T13:49:11.000000Z"}
    space.patch(EVENTS, "event-test", {"series": before["series"]}, type=STRATEGIC)
    after = space.get(EVENTS, "event-test")
    assert without_bookkeeping(after) == without_bookkeeping(before)
    del before["metadata"]["resourceVersion"], before["metadata"]["managedFields"]
    before["series"] = {"count": 100, "lastObservedTime": TIME}
    space.update(before)
    assert without_bookkeeping(space.get(EVENTS, "event-test")) == without_bookkeeping(before)
    space.delete(EVENTS, "event-test")
    assert (space.name, "event-test") not in everywhere(space, "/apis/events.k8s.io/v1")
    assert space.list(EVENTS, labelSelector="testevent-constant=true") == []


@row("Events should manage the lifecycle of an event")
def test_the_life_of_an_event_of_the_core_api(space: Space):
    space.create(core(space, "event-test", "testevent-constant"))
    assert (space.name, "event-test") in everywhere(space, "/api/v1")
    space.patch(CORE, "event-test", {"message": "This is a test event - patched"}, type=STRATEGIC)
    present = space.get(CORE, "event-test")
    assert present["message"] == "This is a test event - patched"
    present["series"] = {"count": 100, "lastObservedTime": TIME}
    updated = space.update(present)
    assert updated["series"] == {"count": 100, "lastObservedTime": TIME}
    assert space.get(CORE, "event-test")["series"] == updated["series"]
    space.delete(CORE, "event-test")
    assert (space.name, "event-test") not in everywhere(space, "/api/v1")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        pytest.param(CORE, core, marks=row("Events should delete a collection of events"), id="core"),
        pytest.param(EVENTS, new, marks=row("Events API should delete a collection of events"), id="new"),
    ],
)
def test_a_collection_of_events_is_deleted(space: Space, kind: str, made: Any):
    for number in (1, 2, 3):
        space.create(made(space, f"test-event-{number}", "testevent-set"))
    assert len(space.list(kind, labelSelector="testevent-set=true")) == 3
    space.http.delete(space.path(kind, labelSelector="testevent-set=true")).ok()
    assert space.list(kind, labelSelector="testevent-set=true") == []
