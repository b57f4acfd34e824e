"""api-machinery/chunking: long lists in pages."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance
KIND, TOTAL = "v1/PodTemplate", 400
HISTORY = 4001
"""Changes after which the past of a kind is forgotten."""


@pytest.fixture
def templates(space: Space) -> Space:
    make(space, 0)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(partial(make, space), range(1, TOTAL)))
    return space


def make(space: Space, number: int) -> None:
    space.create(
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": f"template-{number:04}"},
            "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}},
        }
    )


def page(space: Space, limit: int, token: str, seen: int) -> Obj:
    """One page, whose items follow those seen, and that counts what is left."""
    found: Obj = space.ask("GET", KIND, query={"limit": limit, "continue": token}).ok()
    names = [each["metadata"]["name"] for each in found["items"]]
    assert names == [f"template-{number:04}" for number in range(seen, seen + len(names))]
    assert len(names) <= limit
    left = TOTAL - seen - len(names)
    assert found["metadata"].get("remainingItemCount") == (left or None)
    assert bool(found["metadata"].get("continue")) is bool(left)
    return found


def pages(space: Space, token: str = "", seen: int = 0, revision: str = "") -> None:
    """All that follow, at random sizes, of one revision."""
    while True:
        found = page(space, random.randint(1, TOTAL // 10), token, seen)
        revision = revision or found["metadata"]["resourceVersion"]
        assert found["metadata"]["resourceVersion"] == revision
        seen += len(found["items"])
        token = found["metadata"].get("continue", "")
        if not token:
            break
    assert seen == TOTAL


@row("Servers with support for API chunking should return chunks of results for list calls")
def test_pages_add_up_to_the_whole_list(templates: Space):
    for _ in range(3):
        pages(templates)
    assert len(page(templates, TOTAL + 1, "", 0)["items"]) == TOTAL


@row(
    "Servers with support for API chunking should support continue listing from the last key if the original version "
    "has been compacted away, though the list is inconsistent"
)
def test_an_expired_token_comes_with_one_that_goes_on_in_the_present(templates: Space):
    first = page(templates, TOTAL // 10, "", 0)
    _forget_history(templates)
    expired = templates.ask("GET", KIND, query={"limit": 40, "continue": first["metadata"]["continue"]})
    expired.refused(410, "Expired")
    second = page(templates, 40, expired.json["metadata"]["continue"], 40)
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert len(second["items"]) == 40
    pages(templates, second["metadata"]["continue"], 80, second["metadata"]["resourceVersion"])


def _forget_history(space: Space) -> None:
    """By more changes than are kept: the other way is to wait for the compaction every five minutes."""
    other = space.another()
    other.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.name}})
    with ThreadPoolExecutor(16) as pool:
        for _ in range(HISTORY // (2 * TOTAL) + 1):
            list(pool.map(partial(make, other), range(TOTAL)))
            other.http.delete(other.path(KIND)).ok()
    other.delete("v1/Namespace", other.name)
