"""api-machinery/watch: what watchers hear, from where, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance
KIND, LABEL = "v1/ConfigMap", "watch-this-configmap"


def config(space: Space, name: str, label: str, **data: str) -> Obj:
    return space.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {LABEL: label}},
            "data": data,
        }
    )


def told(events: Iterator[Obj]) -> tuple[str, str, Obj]:
    event = next(events)
    return event["type"], event["object"]["metadata"]["name"], event["object"].get("data", {})


@row("Watchers should observe add, update, and delete watch notifications on configmaps")
def test_watchers_hear_of_what_they_selected_alone(space: Space):
    a = space.watch(KIND, labelSelector=f"{LABEL}=A")
    b = space.watch(KIND, labelSelector=f"{LABEL}=B")
    both = space.watch(KIND, labelSelector=f"{LABEL} in (A,B)")
    config(space, "a", "A")
    assert [told(each) for each in (a, both)] == [("ADDED", "a", {})] * 2
    for mutation in "12":
        space.patch(KIND, "a", {"data": {"mutation": mutation}})
        assert [told(each) for each in (a, both)] == [("MODIFIED", "a", {"mutation": mutation})] * 2
    space.delete(KIND, "a")
    assert [told(each) for each in (a, both)] == [("DELETED", "a", {"mutation": "2"})] * 2
    config(space, "b", "B")
    space.delete(KIND, "b")
    for each in (b, both):
        assert [told(each)[:2], told(each)[:2]] == [("ADDED", "b"), ("DELETED", "b")]
    config(space, "last", "A")
    assert told(a)[:2] == ("ADDED", "last")


@row("Watchers should be able to start watching from a specific resource version")
def test_a_watch_from_a_revision_tells_what_came_later(space: Space):
    config(space, "one", "x")
    space.patch(KIND, "one", {"data": {"mutation": "1"}})
    first = space.patch(KIND, "one", {"data": {"mutation": "2"}})["metadata"]["resourceVersion"]
    space.patch(KIND, "one", {"data": {"mutation": "3"}})
    space.delete(KIND, "one")
    events = space.watch(KIND, labelSelector=f"{LABEL}=x", resourceVersion=first)
    assert told(events) == ("MODIFIED", "one", {"mutation": "3"})
    assert told(events) == ("DELETED", "one", {"mutation": "3"})


@row("Watchers should be able to restart watching from the last resource version observed by the previous watch")
def test_a_watch_goes_on_where_another_ended(space: Space):
    events = space.watch(KIND, labelSelector=f"{LABEL}=x")
    config(space, "one", "x")
    assert told(events)[0] == "ADDED"
    space.patch(KIND, "one", {"data": {"mutation": "1"}})
    last = next(events)["object"]["metadata"]["resourceVersion"]
    space.patch(KIND, "one", {"data": {"mutation": "2"}})
    again = space.watch(KIND, labelSelector=f"{LABEL}=x", resourceVersion=last)
    space.delete(KIND, "one")
    assert told(again) == ("MODIFIED", "one", {"mutation": "2"})
    assert told(again)[0] == "DELETED"


@row("Watchers should observe an object deletion if it stops meeting the requirements of the selector")
def test_leaving_the_selection_is_a_deletion_and_coming_back_an_addition(space: Space):
    events = space.watch(KIND, labelSelector=f"{LABEL}=in")
    config(space, "one", "in")
    space.patch(KIND, "one", {"data": {"mutation": "1"}})
    assert [told(events)[0], told(events)[0]] == ["ADDED", "MODIFIED"]
    space.patch(KIND, "one", {"metadata": {"labels": {LABEL: "out"}}})
    assert told(events) == ("DELETED", "one", {"mutation": "1"})
    space.patch(KIND, "one", {"data": {"mutation": "2"}})
    space.patch(KIND, "one", {"metadata": {"labels": {LABEL: "in"}}})
    assert told(events) == ("ADDED", "one", {"mutation": "2"})
    space.patch(KIND, "one", {"data": {"mutation": "3"}})
    space.delete(KIND, "one")
    assert told(events) == ("MODIFIED", "one", {"mutation": "3"})
    assert told(events) == ("DELETED", "one", {"mutation": "3"})


@row("Watchers should receive events on concurrent watches in same order")
def test_watches_from_each_revision_agree_on_the_order(space: Space):
    made = [config(space, f"one-{number}", "x") for number in range(10)]
    first = space.watch(KIND, resourceVersion=made[0]["metadata"]["resourceVersion"])

    def churn(worker: int) -> None:
        for number in range(10):
            name = f"two-{worker}-{number}"
            config(space, name, "x")
            space.patch(KIND, name, {"data": {"mutation": "1"}})
            if number % 2:
                space.delete(KIND, name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    seen = [next(first)["object"]["metadata"]["resourceVersion"] for _ in range(9 + 4 * 25)]
    assert len(set(seen)) == len(seen)
    for number in range(0, len(seen), 8):
        later = space.watch(KIND, resourceVersion=seen[number])
        found = [next(later)["object"]["metadata"]["resourceVersion"] for _ in seen[number + 1 :]]
        assert found == seen[number + 1 :]
