"""Parameters of admission policies, read from the cache: objects of whatever kind a policy names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minikube.admission.policies.base import UnknownKind
from minikube.api.admissionregistration_v1 import ParamKind
from minikube.api.selectors import Selector
from minikube.registry.registry import StoreRegistry
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind


class CachedParameters:
    def __init__(self, registry: StoreRegistry) -> None:
        self._registry = registry

    def namespaced(self, kind: ParamKind) -> bool:
        return self._kind(kind).resource.namespaced

    async def named(self, kind: ParamKind, namespace: str, name: str) -> dict[str, Any] | None:
        served = self._kind(kind)
        found = [each for each in self._all(served, namespace) if each.name == name]
        return next(iter(await self._trees(served, found)), None)

    async def selected(self, kind: ParamKind, namespace: str, selector: Selector) -> Sequence[dict[str, Any]]:
        served = self._kind(kind)
        found = [each for each in self._all(served, namespace) if selector.matches(each.labels)]
        return await self._trees(served, sorted(found, key=lambda each: each.name))

    async def _trees(self, kind: Kind, found: Sequence[StoredObject]) -> Sequence[dict[str, Any]]:
        await self._registry.converting.show(kind, found)
        return [dict(each.tree(kind)) for each in found]

    def _all(self, kind: Kind, namespace: str) -> Iterable[StoredObject]:
        return self._registry.cache.bucket(kind).select(namespace)

    def _kind(self, wanted: ParamKind) -> Kind:
        for kind in self._registry.kinds():
            if (kind.resource.api_version, kind.resource.kind) == (wanted.api_version, wanted.kind):
                return kind
        raise UnknownKind(f"{wanted.api_version} {wanted.kind}")
