"""The /scale of whatever an owner or a target reference names, built-in or custom."""

from __future__ import annotations

from minikube.api.autoscaling_v1 import Scale
from minikube.api.meta import Resource
from minikube.client.base import Client
from minikube.errors import NotFound


class Scales:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def resource(self, api_version: str, kind: str) -> Resource | None:
        """The kind in its preferred version, as a REST mapper finds it."""
        group = api_version.rpartition("/")[0]
        for resource in await self._client.resources():
            if (resource.group, resource.kind) == (group, kind):
                return resource
        return None

    async def get(self, api_version: str, kind: str, name: str, namespace: str) -> Scale | None:
        """None when there is no such kind, object or scale."""
        resource = await self.resource(api_version, kind)
        if resource is None:
            return None
        try:
            return await self._client.get_scale(resource, name, namespace)
        except NotFound:
            return None
