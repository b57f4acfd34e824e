"""Namespace deletion: everything in it goes, then its finalizer. Rules: pkg/controller/namespace/deletion."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Namespace
from minikube.api.meta import Key
from minikube.controllers.base import After, Context, itself
from minikube.errors import ApiError, NotFound


class NamespaceController:
    name: ClassVar[str] = "namespace-controller"
    workers: ClassVar[int] = 2
    watches = (itself(Namespace),)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._namespaces = context.informers.of(Namespace).lister

    async def reconcile(self, key: Key) -> After | None:
        namespace = self._namespaces.get(key.name)
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            return None
        if namespace.status.phase != "Terminating":
            patch = {"status": {"phase": "Terminating"}}
            await self._client.patch(Namespace, key.name, patch=patch, subresource="status")
        left = await self._empty(key.name)
        if left:
            return After(1)
        if "kubernetes" in namespace.spec.finalizers:
            keep = [name for name in namespace.spec.finalizers if name != "kubernetes"]
            finalizing = {"spec": {"finalizers": keep or None}}
            try:
                await self._client.patch(Namespace, key.name, patch=finalizing, subresource="finalize")
                await self._client.delete(Namespace, key.name)
            except NotFound:
                return None
        return None

    async def _empty(self, namespace: str) -> int:
        """Delete what is there; how many objects are still to go."""
        left = 0
        for resource in await self._client.resources():
            if not resource.namespaced:
                continue
            found = await self._client.list_partial(resource, namespace)
            for obj in found.items:
                left += 1
                if obj.metadata.deletion_timestamp is not None:
                    continue
                try:
                    await self._client.delete_partial(
                        resource, obj.metadata.name, namespace, propagation_policy="Background"
                    )
                except NotFound:
                    left -= 1
                except ApiError:
                    continue
        return left
