"""Pods that nobody ends any more: of nodes that are gone or out of service, and too many that have ended.

Rules: pkg/controller/podgc.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

from minikube.api import time
from minikube.api.core_v1 import Node, Pod
from minikube.api.meta import Key
from minikube.client.base import PatchType
from minikube.controllers.base import After, Context, Watch
from minikube.errors import NotFound

QUARANTINE = 40.0
"""Seconds for which a node must be missing."""
ENDED_AT_MOST = 12_500
"""--terminated-pod-gc-threshold."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
ENDED = "ended"
_EVERY = Key("", "")
_DAWN = datetime.min.replace(tzinfo=UTC)


class PodGarbageController:
    """Keys are names of nodes; the empty one stands for the pods that have ended."""

    name: ClassVar[str] = "pod-garbage-collector"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes = context.informers.of(Node).lister
        pods = context.informers.of(Pod)
        pods.add_index("node", lambda obj: (obj.spec.node_name,) if obj.spec.node_name else ())
        pods.add_index(ENDED, lambda obj: (ENDED,) if obj.status.phase in ("Succeeded", "Failed") else ())
        self._pods = pods.lister
        self._missing: dict[str, float] = {}
        self.watches = (Watch(Node, self._of_node), Watch(Pod, self._of_pod))

    def _of_node(self, node: Node) -> Sequence[Key]:
        found = self._nodes.get(node.metadata.name)
        return [Key("", node.metadata.name)] if found is None or _out_of_service(found) else []

    def _of_pod(self, pod: Pod) -> Sequence[Key]:
        keys = []
        if pod.spec.node_name:
            node = self._nodes.get(pod.spec.node_name)
            if node is None or _out_of_service(node):
                keys.append(Key("", pod.spec.node_name))
        if pod.status.phase in ("Succeeded", "Failed") and len(self._pods.by_index(ENDED, ENDED)) > ENDED_AT_MOST:
            keys.append(_EVERY)
        return keys

    async def reconcile(self, key: Key) -> After | None:
        if key == _EVERY:
            await self._thin_out()
            return None
        node = self._nodes.get(key.name)
        pods = self._pods.by_index("node", key.name)
        if node is not None:
            self._missing.pop(key.name, None)
            if _out_of_service(node):
                for pod in pods:
                    if pod.metadata.deletion_timestamp is not None:
                        await self._end(pod, "PodGC: node is out of service")
            return None
        if not pods:
            self._missing.pop(key.name, None)
            return None
        now = self._context.clock.monotonic()
        left = self._missing.setdefault(key.name, now) + QUARANTINE - now
        if left > 0:
            return After(left)
        for pod in pods:
            await self._end(pod, "PodGC: node no longer exists")
        return None

    async def _thin_out(self) -> None:
        """The oldest go first."""
        ended = sorted(self._pods.by_index(ENDED, ENDED), key=lambda pod: pod.metadata.creation_timestamp or _DAWN)
        for pod in ended[: max(0, len(ended) - ENDED_AT_MOST)]:
            await self._delete(pod)

    async def _end(self, pod: Pod, why: str) -> None:
        """It has failed, and says why, before it goes: its owner may have to count it."""
        meta = pod.metadata
        if pod.status.phase not in ("Succeeded", "Failed"):
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": why,
                "lastTransitionTime": time.text(self._context.clock.now()),
            }
            status = {"phase": "Failed", "conditions": [condition]}
            try:
                await self._context.client.patch(
                    Pod,
                    meta.name,
                    meta.namespace,
                    patch={"metadata": {"uid": meta.uid}, "status": status},
                    type=PatchType.STRATEGIC,
                    subresource="status",
                )
            except NotFound:
                return
        await self._delete(pod)

    async def _delete(self, pod: Pod) -> None:
        meta = pod.metadata
        try:
            await self._context.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)
        except NotFound:
            return


def _out_of_service(node: Node) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
