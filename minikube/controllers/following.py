"""Every kind that is served, built-in or custom, followed by one handler that sees metadata only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.meta import Object, PartialObject, Resource
from minikube.client.base import Client, Handler, Informer, PartialInformers

IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
"""Nobody owns events and events own nothing (the garbage collector's default ignored resources)."""

PartialHandler = Callable[[Resource, PartialObject | None, PartialObject | None], None]
"""(kind, old, new): old None: added, new None: deleted."""


class Following:
    """`run()` calls the handler for what is there, then for every change; also of kinds that are defined later."""

    def __init__(self, client: Client, informers: PartialInformers, handler: PartialHandler) -> None:
        self._client = client
        self._informers = informers
        self._handler = handler
        self._followed: dict[tuple[str, str], Informer[PartialObject]] = {}
        self._defined = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        definitions = self._informers.of(CustomResourceDefinition)
        await definitions.wait_synced()
        definitions.add_handler(self._on_definition)
        while True:
            self._defined.clear()
            await self._follow_all()
            await self._defined.wait()

    def _on_definition(self, old: Object | None, new: Object | None) -> None:
        self._defined.set()

    async def _follow_all(self) -> None:
        present = {}
        for resource in await self._client.resources():
            key = (resource.group, resource.plural)
            if key in IGNORED:
                continue
            informer = present[key] = self._informers.partial(resource)
            if self._followed.get(key) is not informer:
                await informer.wait_synced()
                informer.add_handler(_of(resource, self._handler))
        self._followed = present


def _of(resource: Resource, handler: PartialHandler) -> Handler[PartialObject]:
    def handle(old: PartialObject | None, new: PartialObject | None, /) -> None:
        handler(resource, old, new)

    return handle
