"""NoExecute taints drive pods out that do not tolerate them, or not for long. Rules: pkg/controller/tainteviction.

How long a pod has been tolerating is counted by our own clock from when it was first seen beside such a taint:
taints set by hand do not say since when they are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from minikube.api import time
from minikube.api.core_v1 import Node, Pod, Taint
from minikube.api.meta import Key
from minikube.api.taints import tolerates
from minikube.client.base import PatchType
from minikube.controllers.base import After, Context, Watch, itself
from minikube.errors import NotFound


def tolerates_for(pod: Pod, taints: Sequence[Taint]) -> float | None:
    """Seconds that the pod may stay beside these taints, 0 if it does not tolerate them, None: for ever."""
    limits: list[float] = []
    for taint in taints:
        used = next((one for one in pod.spec.tolerations if tolerates(one, taint)), None)
        if used is None:
            return 0.0
        if used.toleration_seconds is not None:
            limits.append(max(0.0, float(used.toleration_seconds)))
    return min(limits, default=None)


class TaintEvictionController:
    """Keys are pods."""

    name: ClassVar[str] = "taint-eviction-controller"
    workers: ClassVar[int] = 4

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes = context.informers.of(Node).lister
        pods = context.informers.of(Pod)
        pods.add_index("node", lambda obj: (obj.spec.node_name,) if obj.spec.node_name else ())
        self._pods = pods.lister
        self._since: dict[str, float] = {}
        self._tainted: set[str] = set()
        self.watches = (itself(Pod), Watch(Node, self._on_node))

    def _on_node(self, node: Node) -> Sequence[Key]:
        """Its pods, as long as it has such a taint, and once more when it has none any longer."""
        name = node.metadata.name
        found = self._nodes.get(name)
        has = found is not None and bool(_driving(found))
        if not has and name not in self._tainted:
            return []
        self._tainted.add(name) if has else self._tainted.discard(name)
        return [Key(pod.metadata.namespace, pod.metadata.name) for pod in self._pods.by_index("node", name)]

    async def reconcile(self, key: Key) -> After | None:
        pod = self._pods.get(key.name, key.namespace)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            if pod is not None:
                self._since.pop(pod.metadata.uid, None)
            return None
        node = self._nodes.get(pod.spec.node_name) if pod.spec.node_name else None
        taints = _driving(node) if node is not None else ()
        limit = tolerates_for(pod, taints) if taints else None
        if limit is None:
            if self._since.pop(pod.metadata.uid, None) is not None:
                message = f"Cancelling deletion of Pod {key.namespace}/{key.name}"
                self._context.events.normal(pod, "TaintManagerEviction", message)
            return None
        now = self._context.clock.monotonic()
        left = self._since.setdefault(pod.metadata.uid, now) + limit - now
        if left > 0:
            return After(left)
        await self._evict(pod)
        self._since.pop(pod.metadata.uid, None)
        return None

    async def _evict(self, pod: Pod) -> None:
        meta, client = pod.metadata, self._context.client
        message = f"Marking for deletion Pod {meta.namespace}/{meta.name}"
        self._context.events.normal(pod, "TaintManagerEviction", message)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": time.text(self._context.clock.now()),
        }
        patch = {"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}}
        try:
            await client.patch(
                Pod, meta.name, meta.namespace, patch=patch, type=PatchType.STRATEGIC, subresource="status"
            )
            await client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return


def _driving(node: Node) -> Sequence[Taint]:
    return [taint for taint in node.spec.taints if taint.effect == "NoExecute"]
