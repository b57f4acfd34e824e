"""Labels the node of this server as part of the control plane: a node may not give itself a role."""

from __future__ import annotations

from typing import ClassVar

from minikube.api.core_v1 import Node
from minikube.api.meta import Key
from minikube.controllers.base import After, Context, itself

LABEL = "node-role.kubernetes.io/control-plane"


class ControlPlaneController:
    name: ClassVar[str] = "node-controller"
    workers: ClassVar[int] = 1
    watches = (itself(Node),)

    def __init__(self, context: Context) -> None:
        self._client, self._settings = context.client, context.settings
        self._nodes = context.informers.of(Node).lister

    async def reconcile(self, key: Key) -> After | None:
        if self._settings.disable_agent or key.name != self._settings.own_node_name:
            return None
        node = self._nodes.get(key.name)
        if node is not None and LABEL not in node.metadata.labels:
            await self._client.patch(Node, key.name, patch={"metadata": {"labels": {LABEL: "true"}}})
        return None
