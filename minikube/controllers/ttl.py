"""Tells nodes for how long they may believe a Secret or ConfigMap: the larger the cluster, the longer.

Rules: pkg/controller/ttl.
"""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Node
from minikube.api.meta import Key
from minikube.controllers.base import After, Context, itself
from minikube.errors import NotFound

TTL = "node.alpha.kubernetes.io/ttl"
BOUNDS = ((100, 0), (500, 15), (1000, 30), (2000, 60))
"""(nodes at most, seconds)."""
LONGEST = 300


def seconds_for(nodes: int) -> int:
    return next((seconds for most, seconds in BOUNDS if nodes <= most), LONGEST)


class TtlController:
    name: ClassVar[str] = "ttl-controller"
    workers: ClassVar[int] = 1
    watches = (itself(Node),)

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._nodes = context.informers.of(Node).lister

    async def reconcile(self, key: Key) -> After | None:
        node = self._nodes.get(key.name)
        if node is None:
            return None
        wanted = str(seconds_for(len(self._nodes.list())))
        if node.metadata.annotations.get(TTL) != wanted:
            try:
                await self._client.patch(Node, key.name, patch={"metadata": {"annotations": {TTL: wanted}}})
            except NotFound:
                return None
        return None
