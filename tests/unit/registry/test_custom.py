"""Custom resources, from their definition to their end."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from minikube.apiserver.discovery import own_verbs
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.errors import Invalid, MethodNotAllowed, NotFound
from minikube.registry.base import DeleteOptions, Request
from minikube.registry.custom import CustomResources
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.resources.base import Kind
from minikube.settings import Settings
from minikube.store.memory import MemoryStore

REQUEST = Request(user=User("me"), field_manager="test")
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "colour": {"type": "string", "default": "red"},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
VERSION = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": SCHEMA},
    "subresources": {"status": {}},
    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
}
WIDGETS: dict[str, Any] = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [VERSION],
    },
}


def widget(**spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a", "namespace": "x"}}
    return {**head, "spec": spec}


async def read(registry: StoreRegistry, definitions: Kind) -> Any:
    return (await registry.get(definitions, "", "widgets.example.com")).tree(definitions)


async def gone(registry: StoreRegistry) -> bool:
    return registry.find("example.com", "v1", "widgets") is None


async def until(look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    for _ in range(10_000):
        found = await look()
        if holds(found):
            return found
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


@asynccontextmanager
async def running() -> AsyncIterator[tuple[StoreRegistry, Kind]]:
    """A registry that serves custom resources, and the kind of their definitions."""
    registry = StoreRegistry(MemoryStore(), ALL, settings=Settings())
    await registry.start()
    custom = CustomResources(registry)
    custom.start()
    tasks = [asyncio.create_task(registry.run()), asyncio.create_task(custom.run())]
    definitions = registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    assert definitions is not None
    yield registry, definitions
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_definition_is_served_established_validated_and_cleaned_up() -> None:
    async with running() as (registry, definitions):
        await registry.create(definitions, "", WIDGETS, REQUEST)
        kind = registry.find("example.com", "v1", "widgets")
        assert isinstance(kind, Kind)
        made = (await registry.create(kind, "x", widget(size=3, unknown=1), REQUEST)).tree(kind)
        assert made["spec"] == {"size": 3, "colour": "red"}
        assert list(kind.row(made, registry.clock.now())) == ["a", 3]
        with pytest.raises(Invalid, match=r"spec\.size"):
            await registry.create(kind, "x", widget(size=0), REQUEST)
        shown = await until(lambda: read(registry, definitions), lambda found: found["status"]["conditions"])
        conditions = {one["type"]: one["status"] for one in shown["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}
        await registry.delete(definitions, "", "widgets.example.com", DeleteOptions(), REQUEST)
        await until(lambda: gone(registry), bool)
        with pytest.raises(NotFound):
            await registry.get(definitions, "", "widgets.example.com")


async def test_while_a_definition_is_deleted_nothing_new_comes() -> None:
    async with running() as (registry, definitions):
        await registry.create(definitions, "", WIDGETS, REQUEST)
        kind = registry.find("example.com", "v1", "widgets")
        assert kind is not None
        held = widget(size=1)
        held["metadata"]["finalizers"] = ["example.com/held"]
        await registry.create(kind, "x", held, REQUEST)
        await until(lambda: read(registry, definitions), lambda found: found["metadata"].get("finalizers"))
        await registry.delete(definitions, "", "widgets.example.com", DeleteOptions(), REQUEST)
        ending = registry.find("example.com", "v1", "widgets")
        assert ending is not None
        other = widget(size=1)
        other["metadata"]["name"] = "b"
        with pytest.raises(
            MethodNotAllowed, match="create not allowed while custom resource definition is terminating"
        ):
            await registry.create(ending, "x", copy.deepcopy(other), REQUEST)
        with pytest.raises(MethodNotAllowed):
            await registry.patch(ending, "x", "b", copy.deepcopy(other), PatchType.APPLY, REQUEST)
        assert own_verbs(ending) == ["delete", "deletecollection", "get", "list", "watch"]
        await registry.patch(ending, "x", "a", {"metadata": {"finalizers": None}}, PatchType.MERGE, REQUEST)
        await until(lambda: gone(registry), bool)
