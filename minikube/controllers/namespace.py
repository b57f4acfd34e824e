"""Namespace deletion: pods go first, then everything else, then the namespace's own finalizer.

Rules: pkg/controller/namespace/deletion. What is left is waited for by its deletion, never by asking again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import Namespace, Pod
from minikube.api.meta import Key, PartialObject, Resource
from minikube.client.base import Client
from minikube.controllers.base import After, Context, itself
from minikube.controllers.following import IGNORED, Following
from minikube.controllers.foreign_content import Emptied, ForeignContent
from minikube.controllers.namespace_status import Leftover, status_of
from minikube.errors import ApiError, NotFound

FINALIZER = "kubernetes"
AT_ONCE = 50
RETRY = 5.0


class NamespaceController:
    name: ClassVar[str] = "namespace-controller"
    workers: ClassVar[int] = 2
    watches = (itself(Namespace),)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock = context.clock
        self._namespaces = context.informers.of(Namespace).lister
        self._informers = context.informers
        self._foreign = ForeignContent(context.client, context.informers)
        self._left: dict[str, dict[str, tuple[str, ...]]] = {}
        """Of each namespace that waits: uid -> finalizers of the objects it waits for."""

    async def run(self, enqueue: Callable[[Key], None]) -> None:
        """A namespace is looked at again when the last object it waits for is gone, or one has other finalizers."""

        def on_change(resource: Resource, old: PartialObject | None, new: PartialObject | None) -> None:
            obj = new or old
            assert obj is not None
            left = self._left.get(obj.metadata.namespace)
            if left is None or obj.metadata.uid not in left:
                return
            if new is not None and left[obj.metadata.uid] == new.metadata.finalizers:
                return
            if new is None:
                del left[obj.metadata.uid]
            if new is not None or not left:
                enqueue(Key("", obj.metadata.namespace))

        await Following(self._client, self._informers, on_change).run()

    async def reconcile(self, key: Key) -> After | None:
        namespace = self._namespaces.get(key.name)
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            self._left.pop(key.name, None)
            return None
        if FINALIZER not in namespace.spec.finalizers:
            return None
        failures = await self._empty(key.name)
        left = self._left_over(await self._resources(), key.name)
        self._left[key.name] = {one.uid: one.finalizers for one in left}
        foreign = Emptied() if self._present([Pod.resource], key.name) else await self._foreign.empty(key.name)
        failures = [*failures, *foreign.failures]
        await self._report(namespace, [*left, *foreign.left], failures, foreign.unknown)
        if failures or foreign.left or foreign.unknown:
            return After(RETRY)
        if not left:
            del self._left[key.name]
            await self._finalize(namespace)
        return None

    async def _report(
        self, namespace: Namespace, left: Sequence[Leftover], failures: Sequence[str], unknown: Sequence[str]
    ) -> None:
        status = status_of(namespace.status, left, failures, unknown, self._clock.now())
        if status != namespace.status:
            await self._client.update(msgspec.structs.replace(namespace, status=status), subresource="status")

    async def _finalize(self, namespace: Namespace) -> None:
        keep = [name for name in namespace.spec.finalizers if name != FINALIZER]
        patch = {"spec": {"finalizers": keep or None}}
        name = namespace.metadata.name
        try:
            await self._client.patch(Namespace, name, patch=patch, subresource="finalize")
        except NotFound:
            return

    async def _resources(self) -> Sequence[Resource]:
        return [one for one in await self._client.resources() if one.namespaced]

    def _present(self, resources: Sequence[Resource], namespace: str) -> list[Leftover]:
        """Read in one step with what `on_change` is told, so that no deletion is missed."""
        return [
            Leftover(resource, obj.metadata.uid, obj.metadata.finalizers)
            for resource in resources
            if (resource.group, resource.plural) not in IGNORED
            for obj in self._informers.partial(resource).lister.list(namespace)
        ]

    def _left_over(self, resources: Sequence[Resource], namespace: str) -> list[Leftover]:
        """What was deleted and is waited for: as long as there are pods, only they."""
        return self._present([Pod.resource], namespace) or self._present(resources, namespace)

    async def _empty(self, namespace: str) -> Sequence[str]:
        """Delete what is there; what went wrong. As long as there are pods, only they are deleted."""
        resources = await self._resources()
        pods = [one for one in resources if one == Pod.resource]
        failures = await self._empty_of(pods, namespace)
        if failures or self._present(pods, namespace):
            return failures
        return await self._empty_of([one for one in resources if one != Pod.resource], namespace)

    async def _empty_of(self, resources: Sequence[Resource], namespace: str) -> list[str]:
        failures: list[str] = []
        for resource in resources:
            try:
                found = (await self._client.list_partial(resource, namespace)).items
                fresh = [obj for obj in found if obj.metadata.deletion_timestamp is None]
                for at in range(0, len(fresh), AT_ONCE):
                    batch = fresh[at : at + AT_ONCE]
                    await asyncio.gather(*(_delete(self._client, resource, obj) for obj in batch))
            except ApiError as error:
                failures.append(error.message)
        return failures


async def _delete(client: Client, resource: Resource, obj: PartialObject) -> None:
    meta = obj.metadata
    try:
        await client.delete_partial(
            resource, meta.name, meta.namespace, uid=meta.uid, propagation_policy="Background"
        )
    except NotFound:
        return
