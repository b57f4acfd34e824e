"""Custom resources: every CustomResourceDefinition becomes kinds that are served, and is told so in its status.

Rules: apiextensions-apiserver (naming and establishing conditions, the clean-up finalizer).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.api.admissionregistration_v1 import WebhookClientConfig
from minikube.api.meta import PartialObject, Resource
from minikube.api.names import version_order
from minikube.auth.base import MASTERS, User
from minikube.client.base import PatchType
from minikube.errors import ApiError, NotFound
from minikube.registry.base import DeleteOptions, Request, Selection
from minikube.registry.cache import Bucket
from minikube.registry.custom_columns import printer
from minikube.registry.custom_status import established, full_names, status_of, terminating
from minikube.registry.history import Change
from minikube.registry.registry import StoreRegistry
from minikube.resources.base import Conversion, Kind, ReadOnlyObj, ScalePaths
from minikube.resources.warnings.definition import CUSTOM

log = logging.getLogger(__name__)

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
RETRY_SECONDS = 1.0
SERVED_AS = User("system:apiserver", groups=(MASTERS,))


class Definition:
    """What one definition has us serve."""

    def __init__(self, names: ReadOnlyObj, storage: Kind, served: Sequence[Kind]) -> None:
        self.names = names
        self.storage = storage
        self.served = list(served)


class CustomResources:
    """`start()` serves what is defined; `run()` follows definitions, their status and their clean-up."""

    def __init__(self, registry: StoreRegistry) -> None:
        self._registry = registry
        found = registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        assert found is not None
        self._definitions = found
        self._bucket = registry.cache.bucket(found)
        self._known: dict[str, Definition] = {}
        self._todo: asyncio.Queue[str] = asyncio.Queue()
        self._emptying: set[str] = set()

    def start(self) -> None:
        present = [(one.name, one.tree(self._definitions)) for one in self._bucket.objects.values()]
        for name, definition in sorted(present, key=lambda one: not established(one[1])):
            self._take_in(name, definition)
        self._bucket.listeners.append(self._on_change)

    async def run(self) -> None:
        while True:
            name = await self._todo.get()
            try:
                await self._settle(name)
            except ApiError as error:
                if not isinstance(error, NotFound):
                    log.warning("custom resource definition %s: %s", name, error.message)
                    self._again(name)

    def _again(self, name: str) -> None:
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._todo.put_nowait, name)

    def _on_change(self, change: Change) -> None:
        if change.new is not None:
            self._take_in(change.new.name, change.new.tree(self._definitions))
        elif change.old is not None:
            gone = self._known.pop(change.old.name, None)
            if gone is not None:
                for kind in gone.served:
                    self._registry.withdraw(kind)
                self._registry.cache.remove_kind(gone.storage)
            for name in self._known:
                self._todo.put_nowait(name)

    def _take_in(self, name: str, definition: ReadOnlyObj) -> None:
        self._todo.put_nowait(name)
        before = self._known.get(name)
        status = status_of(definition, self._taken(name, definition), self._registry.clock.now())
        if not established({"status": status}):
            return
        made = kinds_of(definition)
        if before is not None and (made.storage, made.served) == (before.storage, before.served):
            return
        kept = {kind.resource for kind in made.served}
        for kind in before.served if before is not None else ():
            if kind.resource not in kept:
                self._registry.withdraw(kind)
        self._known[name] = made
        self._registry.cache.add_kind(made.storage)
        for kind in made.served:
            self._registry.serve(kind)

    def _taken(self, name: str, definition: ReadOnlyObj) -> list[ReadOnlyObj]:
        """The names that other definitions of the same group are served under."""
        group = definition["spec"]["group"]
        return [
            known.names
            for other, known in self._known.items()
            if other != name and known.storage.resource.group == group
        ]

    async def _settle(self, name: str) -> None:
        """Status and clean-up of one definition."""
        registry, kind = self._registry, self._definitions
        request = Request(user=SERVED_AS, field_manager="kube-apiserver", warned=False)
        definition = (await registry.get(kind, "", name)).tree(kind)
        metadata = definition["metadata"]
        finalizers = list(metadata.get("finalizers") or ())
        if metadata.get("deletionTimestamp"):
            if FINALIZER in finalizers:
                await self._clean_up(name, definition, request)
            return
        if FINALIZER not in finalizers:
            patch: Any = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
            await registry.patch(kind, "", name, patch, PatchType.MERGE, request)
        status = status_of(definition, self._taken(name, definition), registry.clock.now())
        if status != definition.get("status"):
            await registry.patch(kind, "", name, {"status": status}, PatchType.MERGE, request, subresource="status")
        if not established({"status": status}):
            self._again(name)

    def _come_back_when_empty(self, name: str, bucket: Bucket) -> None:
        def on_change(change: Change) -> None:
            if not bucket.objects:
                bucket.listeners.remove(on_change)
                self._emptying.discard(name)
                self._todo.put_nowait(name)

        if not bucket.objects:
            self._todo.put_nowait(name)
        elif name not in self._emptying:
            self._emptying.add(name)
            bucket.listeners.append(on_change)

    async def _clean_up(self, name: str, definition: ReadOnlyObj, request: Request) -> None:
        """Delete every object; when the last one is gone, let the definition go."""
        registry, kind = self._registry, self._definitions
        left: Bucket | None = None
        if name in self._known:
            storage = self._known[name].storage
            await registry.delete_collection(storage, "", Selection(), DeleteOptions(), request)
            bucket = registry.cache.bucket(storage)
            left = bucket if bucket.objects else None
        status = terminating(definition, done=left is None, now=registry.clock.now())
        if status != definition.get("status"):
            await registry.patch(kind, "", name, {"status": status}, PatchType.MERGE, request, subresource="status")
        if left is not None:
            self._come_back_when_empty(name, left)
            return
        finalizers = [one for one in definition["metadata"]["finalizers"] if one != FINALIZER]
        patch: Any = {"metadata": {"finalizers": finalizers}}
        await registry.patch(kind, "", name, patch, PatchType.MERGE, request)


def kinds_of(definition: ReadOnlyObj) -> Definition:
    """The served kinds of a definition, and the one of its storage version, served or not."""
    storage = next(version for version in definition["spec"]["versions"] if version.get("storage"))
    home = _kind(definition, storage, None)
    served = [
        home if version is storage else _kind(definition, version, home.resource)
        for version in definition["spec"]["versions"]
        if version.get("served")
    ]
    return Definition(full_names(definition), home, served)


def _kind(definition: ReadOnlyObj, version: Mapping[str, Any], home: Resource | None) -> Kind:
    spec = definition["spec"]
    names = full_names(definition)
    namespaced = spec["scope"] == "Namespaced"
    subresources = version.get("subresources") or {}
    columns, row = printer(version.get("additionalPrinterColumns"))
    return Kind(
        resource=Resource(spec["group"], version["name"], names["kind"], names["plural"], namespaced),
        type=PartialObject,
        schema=(version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"},
        singular=names["singular"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        columns=columns,
        row=row,
        counted=True,
        deprecated=_deprecation(spec, version),
        terminating="deletionTimestamp" in definition["metadata"],
        status="status" in subresources,
        status_metadata=(),
        strategy=CUSTOM,
        scale=_scale(subresources.get("scale")),
        selectable=tuple(one["jsonPath"] for one in version.get("selectableFields") or ()),
        stored_as=home,
        conversion=_conversion(spec.get("conversion") or {}),
    )


def _deprecation(spec: ReadOnlyObj, version: Mapping[str, Any]) -> str:
    """What users of a deprecated version are told: the definition's words, or which version to use instead."""
    if not version.get("deprecated"):
        return ""
    if "deprecationWarning" in version:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    good = (one["name"] for one in spec["versions"] if one.get("served") and not one.get("deprecated"))
    better = sorted(good, key=version_order)
    instead = f"; use {group}/{better[0]} {kind}" if better else ""
    return f"{group}/{version['name']} {kind} is deprecated{instead}"


def _conversion(declared: Mapping[str, Any]) -> Conversion | None:
    if declared.get("strategy") != "Webhook":
        return None
    webhook = declared["webhook"]
    target = msgspec.convert(webhook["clientConfig"], WebhookClientConfig)
    return Conversion(target, tuple(webhook["conversionReviewVersions"]))


def _scale(declared: Mapping[str, Any] | None) -> ScalePaths | None:
    if not declared:
        return None
    return ScalePaths(
        replicas=declared["specReplicasPath"].lstrip("."),
        status_replicas=declared["statusReplicasPath"].lstrip("."),
        selector=(declared.get("labelSelectorPath") or "").lstrip("."),
    )
