"""Lists as bytes: whole, and without holding up others."""

from __future__ import annotations

import asyncio
import json

import pytest

from minikube.apiserver import views
from minikube.apiserver.negotiation import Wanted
from minikube.auth.base import User
from minikube.kit import turns
from minikube.registry.base import Listing, ListOptions, Request, Selection
from minikube.resources.base import Kind
from tests.fakes.cluster import Cluster

REQUEST = Request(user=User("me"), field_manager="test")


async def listed(count: int) -> tuple[Cluster, Kind, Listing]:
    cluster = await Cluster.open()
    kind = cluster.registry.find("", "v1", "configmaps")
    assert kind is not None
    for number in range(count):
        await cluster.registry.create(kind, "default", {"metadata": {"name": f"c{number}"}}, REQUEST)
    return cluster, kind, await cluster.registry.list(kind, "default", Selection(), ListOptions())


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize(
    ("view", "kind", "field"),
    [
        ("", "ConfigMapList", "items"),
        ("PartialObjectMetadata", "PartialObjectMetadataList", "items"),
        ("Table", "Table", "rows"),
    ],
)
async def test_a_list_has_its_head_and_every_item(count: int, view: str, kind: str, field: str) -> None:
    cluster, served, listing = await listed(count)
    found = json.loads(b"".join(await views.many(served, listing, Wanted(view), "Metadata", cluster.clock.now())))
    assert found["kind"] == kind
    assert found["metadata"] == {"resourceVersion": str(listing.revision)}
    objects = [one["object"] if view == "Table" else one for one in found[field]]
    assert [one["metadata"]["name"] for one in objects] == [f"c{number}" for number in range(count)]
    if view == "Table":
        assert [column["name"] for column in found["columnDefinitions"]] == ["Name", "Data", "Age"]


async def test_others_have_their_turn_while_a_long_list_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0)
    cluster, kind, listing = await listed(20)
    passed = 0

    async def other() -> None:
        nonlocal passed
        while True:
            passed += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await views.many(kind, listing, Wanted(), "Metadata", cluster.clock.now())
    task.cancel()
    assert passed >= 20


async def test_a_long_list_comes_in_pieces_that_make_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PIECE", 300)
    cluster, kind, listing = await listed(20)
    pieces = await views.many(kind, listing, Wanted(), "Metadata", cluster.clock.now())
    assert len(pieces) > 5
    names = [one["metadata"]["name"] for one in json.loads(b"".join(pieces))["items"]]
    assert names == sorted(f"c{number}" for number in range(20))
