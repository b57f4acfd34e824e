"""What becomes of metadata when objects are written."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.registry.base import Request
from tests.fakes.cluster import Cluster

REQUEST = Request(user=User("me"), field_manager="test")
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
OBJECT: dict[str, Any] = {
    "metadata": {
        "name": "a", "labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["example.com/f"],
        "ownerReferences": [OWNER],
    },
}  # fmt: skip
LAST_OWNER = {"$patch": "delete", "uid": "u"}


@pytest.mark.parametrize(
    ("type", "patch", "left"),
    [
        (
            PatchType.STRATEGIC,
            {"metadata": {"ownerReferences": [LAST_OWNER]}},
            {"labels", "annotations", "finalizers"},
        ),
        (
            PatchType.STRATEGIC,
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/f"]}},
            {"labels", "annotations", "ownerReferences"},
        ),
        (
            PatchType.MERGE,
            {"metadata": {"labels": {"a": None}, "annotations": {"a": None}}},
            {"finalizers", "ownerReferences"},
        ),
        (
            PatchType.JSON,
            [{"op": "remove", "path": "/metadata/ownerReferences/0"}],
            {"labels", "annotations", "finalizers"},
        ),
    ],
)
async def test_what_is_empty_is_not_shown(type: PatchType, patch: Any, left: set[str]) -> None:
    cluster = await Cluster.open()
    kind = cluster.registry.find("", "v1", "configmaps")
    assert kind is not None
    await cluster.registry.create(kind, "default", {"metadata": {**OBJECT["metadata"]}}, REQUEST)
    written = await cluster.registry.patch(kind, "default", "a", patch, type, REQUEST)
    shown = written.object.tree(kind)["metadata"].keys()
    assert shown & {"labels", "annotations", "finalizers", "ownerReferences"} == left


async def test_nor_at_creation() -> None:
    cluster = await Cluster.open()
    kind = cluster.registry.find("", "v1", "configmaps")
    assert kind is not None
    made = {"metadata": {"name": "a", "labels": {}, "ownerReferences": []}}
    found = (await cluster.registry.create(kind, "default", made, REQUEST)).tree(kind)["metadata"]
    assert not {"labels", "ownerReferences"} & found.keys()
