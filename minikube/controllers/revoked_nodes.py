"""Evicts the pods of revoked nodes: nobody there can stop them any more, so they are deleted outright.

The node gets a taint that keeps pods away until its name is free again (`minikube node rejoin`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import Node, Pod, Secret, Taint
from minikube.api.meta import Key, to_dict
from minikube.auth import node_identity as identity
from minikube.controllers.base import After, Context, Watch, itself
from minikube.errors import NotFound

REVOKED = Taint(key="minikube.io/revoked", effect="NoExecute")
BY_NODE = "node"


def _node(secret: Secret) -> Iterable[Key]:
    name = identity.node_of(secret)
    return (Key("", name),) if name else ()


def wanted_taints(node: Node, *, revoked: bool) -> tuple[Taint, ...]:
    kept = tuple(each for each in node.spec.taints if each.key != REVOKED.key)
    return (*kept, REVOKED) if revoked else kept


class RevokedNodesController:
    name: ClassVar[str] = "node-controller"
    workers: ClassVar[int] = 1
    watches = (
        Watch(Secret, _node),
        itself(Node),
        Watch(Pod, lambda pod: (Key("", pod.spec.node_name),) if pod.spec.node_name else ()),
    )

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._secrets = context.informers.of(Secret).lister
        self._nodes = context.informers.of(Node).lister
        pods = context.informers.of(Pod)
        pods.add_index(BY_NODE, lambda pod: (pod.spec.node_name,))
        self._pods = pods.lister

    async def reconcile(self, key: Key) -> After | None:
        node = self._nodes.get(key.name)
        if node is None:
            return None
        record = self._secrets.get(identity.secret_name(key.name), identity.NAMESPACE)
        revoked = record is not None and identity.is_revoked(record)
        taints = wanted_taints(node, revoked=revoked)
        if taints != node.spec.taints and {*taints} ^ {*node.spec.taints}:
            patch = {"spec": {"taints": [to_dict(each) for each in taints] or None}}
            meta = {"resourceVersion": node.metadata.resource_version}
            await self._client.patch(Node, key.name, patch={**patch, "metadata": meta})
        if revoked:
            for pod in self._pods.by_index(BY_NODE, key.name):
                meta_ = pod.metadata
                with contextlib.suppress(NotFound):
                    await self._client.delete(
                        Pod, meta_.name, meta_.namespace, uid=meta_.uid, grace_period_seconds=0
                    )
        return None
