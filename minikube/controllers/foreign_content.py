"""What other API servers keep in a namespace that goes away: asked of them, for nobody here follows it.

Rules: pkg/controller/namespace/deletion. An API that is registered and does not answer holds the namespace up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from minikube.api.apiregistration_v1 import APIService
from minikube.api.meta import Resource
from minikube.client.base import Client, Informers
from minikube.controllers.namespace_status import Leftover
from minikube.errors import ApiError

NEEDED = frozenset({"delete", "list"})


class Emptied(msgspec.Struct, frozen=True):
    """What is still there, what went wrong in deleting, and the group versions that nothing is known of."""

    left: Sequence[Leftover] = ()
    failures: Sequence[str] = ()
    unknown: Sequence[str] = ()


class ForeignContent:
    def __init__(self, client: Client, informers: Informers) -> None:
        self._client = client
        self._registered = informers.of(APIService).lister

    async def empty(self, namespace: str) -> Emptied:
        """Delete all of it."""
        left: list[Leftover] = []
        failures: list[str] = []
        unknown: list[str] = []
        for api in sorted(self._registered.list(), key=lambda each: each.metadata.name):
            if api.spec.service is None:
                continue
            group_version = f"{api.spec.group}/{api.spec.version}"
            try:
                resources = await self._resources(api)
            except ApiError:
                unknown.append(group_version)
                continue
            for resource in resources:
                try:
                    left += await self._empty_of(resource, namespace)
                except ApiError as error:
                    failures.append(error.message)
        return Emptied(left, failures, unknown)

    async def _resources(self, api: APIService) -> Sequence[Resource]:
        """Those in namespaces that can be listed and deleted. Raises ApiError."""
        group, version = api.spec.group, api.spec.version
        if not any(each.type == "Available" and each.status == "True" for each in api.status.conditions):
            raise ApiError("stale GroupVersion discovery")
        found: Mapping[str, Any] = await self._client.request("GET", f"/apis/{group}/{version}")
        return [
            Resource(group, version, each["kind"], each["name"], True)
            for each in found.get("resources") or ()
            if each.get("namespaced") and "/" not in each["name"] and set(each.get("verbs") or ()) >= NEEDED
        ]

    async def _empty_of(self, resource: Resource, namespace: str) -> list[Leftover]:
        """Answers what is there afterwards. Raises ApiError."""
        path = resource.path(namespace)
        for each in await self._metadata(path):
            if not each.get("deletionTimestamp"):
                preconditions = {"preconditions": {"uid": each["uid"]}} if each.get("uid") else {}
                options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
                await self._client.request("DELETE", f"{path}/{each['name']}", {**options, **preconditions})
        return [
            Leftover(resource, each.get("uid", ""), tuple(each.get("finalizers") or ()))
            for each in await self._metadata(path)
        ]

    async def _metadata(self, path: str) -> Sequence[Mapping[str, Any]]:
        listed = await self._client.request("GET", path)
        return [each["metadata"] for each in listed.get("items") or ()]
