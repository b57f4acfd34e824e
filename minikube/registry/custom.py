"""Custom resources: every CustomResourceDefinition becomes kinds that are served, and is told so in its status.

Rules: apiextensions-apiserver (naming and establishing conditions, the clean-up finalizer).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from minikube.api import time
from minikube.api.meta import PartialObject, Resource
from minikube.auth.base import MASTERS, User
from minikube.client.base import PatchType
from minikube.errors import ApiError, NotFound
from minikube.registry.base import DeleteOptions, Request, Selection
from minikube.registry.cache import Change
from minikube.registry.registry import StoreRegistry
from minikube.resources.base import Column, Kind, ReadOnlyObj, ScalePaths, age

log = logging.getLogger(__name__)

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
RETRY_SECONDS = 1.0
SERVED_AS = User("system:apiserver", groups=(MASTERS,))
_STEP = re.compile(r"\.?([A-Za-z_][\w-]*|\['(?:[^'\\]|\\.)*'\]|\[\d+\]|\[\*\])")


class CustomResources:
    """`start()` serves what is defined; `run()` follows definitions, their status and their clean-up."""

    def __init__(self, registry: StoreRegistry) -> None:
        self._registry = registry
        found = registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        assert found is not None
        self._definitions = found
        self._served: dict[str, Sequence[Kind]] = {}
        self._todo: asyncio.Queue[str] = asyncio.Queue()

    def start(self) -> None:
        bucket = self._registry.cache.bucket(self._definitions)
        for stored in bucket.objects.values():
            self._serve(stored.name, stored.tree(self._definitions))
        bucket.listeners.append(self._on_change)

    async def run(self) -> None:
        while True:
            name = await self._todo.get()
            try:
                await self._settle(name)
            except ApiError as error:
                if not isinstance(error, NotFound):
                    log.warning("custom resource definition %s: %s", name, error.message)
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._todo.put_nowait, name)

    def _on_change(self, change: Change) -> None:
        if change.new is not None:
            self._serve(change.new.name, change.new.tree(self._definitions))
        elif change.old is not None:
            for kind in self._served.pop(change.old.name, ()):
                self._registry.withdraw(kind)

    def _serve(self, name: str, definition: ReadOnlyObj) -> None:
        self._todo.put_nowait(name)
        before = self._served.get(name, ())
        kinds = kinds_of(definition)
        if list(kinds) == list(before):
            return
        kept = {kind.resource for kind in kinds}
        for kind in before:
            if kind.resource not in kept and kind.stored_as is not None:
                self._registry.withdraw(kind)
        self._served[name] = kinds
        for kind in kinds:
            self._registry.serve(kind)

    async def _settle(self, name: str) -> None:
        """Status and clean-up of one definition."""
        registry, kind = self._registry, self._definitions
        request = Request(user=SERVED_AS, field_manager="apiextensions")
        definition = (await registry.get(kind, "", name)).tree(kind)
        metadata = definition["metadata"]
        finalizers = list(metadata.get("finalizers") or ())
        if metadata.get("deletionTimestamp"):
            if FINALIZER in finalizers:
                await self._clean_up(name, request)
                left = [one for one in finalizers if one != FINALIZER]
                patch: Any = {"metadata": {"finalizers": left}}
                await registry.patch(kind, "", name, patch, PatchType.MERGE, request)
            return
        if FINALIZER not in finalizers:
            patch = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
            await registry.patch(kind, "", name, patch, PatchType.MERGE, request)
        status = status_of(definition, registry.clock.now())
        if status != definition.get("status"):
            await registry.patch(kind, "", name, {"status": status}, PatchType.MERGE, request, subresource="status")

    async def _clean_up(self, name: str, request: Request) -> None:
        """Delete every object; returns when none is left."""
        stored = [kind for kind in self._served.get(name, ()) if kind.stored_as is None]
        for kind in stored:
            await self._registry.delete_collection(kind, "", Selection(), DeleteOptions(), request)
            while (await self._registry.list(kind, "", Selection())).items:
                await self._registry.clock.sleep(0.2)


def kinds_of(definition: ReadOnlyObj) -> list[Kind]:
    """The served kinds of a definition, the stored version among them."""
    spec = definition["spec"]
    names = spec["names"]
    made = []
    storage = next(version for version in spec["versions"] if version.get("storage"))
    group, plural, namespaced = spec["group"], names["plural"], spec["scope"] == "Namespaced"
    home = Resource(group, storage["name"], names["kind"], plural, namespaced)
    for version in spec["versions"]:
        if not version.get("served") and version is not storage:
            continue
        resource = Resource(group, version["name"], names["kind"], plural, namespaced)
        subresources = version.get("subresources") or {}
        columns, row = printer(version.get("additionalPrinterColumns"))
        made.append(
            Kind(
                resource=resource,
                type=PartialObject,
                schema=(version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"},
                singular=names.get("singular") or names["kind"].lower(),
                list_kind=names.get("listKind") or f"{names['kind']}List",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                columns=columns,
                row=row,
                status="status" in subresources,
                status_metadata=(),
                scale=_scale(subresources.get("scale")),
                stored_as=None if version is storage else home,
            )
        )
    return made


def _scale(declared: Mapping[str, Any] | None) -> ScalePaths | None:
    if not declared:
        return None
    return ScalePaths(
        replicas=declared["specReplicasPath"].lstrip("."),
        status_replicas=declared["statusReplicasPath"].lstrip("."),
        selector=(declared.get("labelSelectorPath") or "").lstrip("."),
    )


AGE: Mapping[str, Any] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


class Printer:
    """The row of a custom resource; equal when the columns are."""

    def __init__(self, declared: Sequence[Mapping[str, Any]]) -> None:
        self.declared = list(declared)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Printer) and self.declared == other.declared

    def __hash__(self) -> int:
        return hash(len(self.declared))

    def __call__(self, obj: Any, now: datetime) -> Sequence[Any]:
        return [obj["metadata"]["name"], *(cell(obj, column, now) for column in self.declared)]


def printer(
    declared: Sequence[Mapping[str, Any]] | None,
) -> tuple[tuple[Column, ...], Callable[[Any, datetime], Sequence[Any]]]:
    """Columns and rows as additionalPrinterColumns say; without any, the age."""
    wanted = declared or [AGE]
    columns = [Column("Name", format="name")]
    for one in wanted:
        type = "string" if one["type"] == "date" else one["type"]
        help = one.get("description", "")
        columns.append(Column(one["name"], type, one.get("format", ""), one.get("priority") or 0, help))
    return tuple(columns), Printer(wanted)


def cell(obj: ReadOnlyObj, column: Mapping[str, Any], now: datetime) -> Any:
    found = at_path(obj, column["jsonPath"])
    if not found:
        return None
    value = found[0]
    match column["type"]:
        case "date":
            try:
                return age(datetime.fromisoformat(value), now)
            except (TypeError, ValueError):
                return "<invalid>"
        case "integer" | "number" | "boolean":
            return value if isinstance(value, int | float) else None
    if len(found) > 1:
        return ",".join(str(one) for one in found)
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def at_path(obj: Any, path: str) -> list[Any]:
    """What a simple JSONPath finds: names, indexes and [*]."""
    found = [obj]
    for match in _STEP.finditer(path):
        step = match[1]
        following: list[Any] = []
        for value in found:
            if step == "[*]":
                following += value if isinstance(value, list) else ()
            elif step.startswith("['"):
                name = step[2:-2].replace("\\.", ".")
                following += [value[name]] if isinstance(value, dict) and name in value else ()
            elif step.startswith("["):
                index = int(step[1:-1])
                following += value[index : index + 1] if isinstance(value, list) else ()
            elif isinstance(value, dict) and step in value:
                following.append(value[step])
        found = following
    return found


def status_of(definition: ReadOnlyObj, now: datetime) -> dict[str, Any]:
    """Accepted names, stored versions and conditions of a definition that is served."""
    names = dict(definition["spec"]["names"])
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    before = definition.get("status") or {}
    known = {one["type"]: one for one in before.get("conditions") or ()}
    fresh = (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    )
    conditions = []
    for type, reason, message in fresh:
        condition = {"type": type, "status": "True", "reason": reason, "message": message}
        old = known.get(type)
        kept = old is not None and old["status"] == "True"
        at = old["lastTransitionTime"] if old is not None and kept else time.text(now)
        conditions.append({"lastTransitionTime": at, **condition})
    storage = next(version["name"] for version in definition["spec"]["versions"] if version.get("storage"))
    versions = list(before.get("storedVersions") or ())
    if storage not in versions:
        versions.append(storage)
    return {"acceptedNames": names, "conditions": conditions, "storedVersions": versions}
