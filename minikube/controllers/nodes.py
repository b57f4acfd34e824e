"""Nodes: a pod range for each, NotReady when the heartbeat stops, and the taints that follow from conditions.

Rules: pkg/controller/nodelifecycle and nodeipam. Grace counts from our own start, and the time in
which we ourselves stood still is not held against a node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api import time
from minikube.api.coordination_v1 import Lease
from minikube.api.core_v1 import Node, NodeCondition, Pod, Taint
from minikube.api.meta import Key, Object
from minikube.api.well_known import NODE_LEASES, NOT_READY, UNREACHABLE, UNSCHEDULABLE
from minikube.controllers.base import After, Context, Watch, itself

GRACE = 50.0
"""--node-monitor-grace-period."""
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
OURS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *PRESSURES.values()})


def ready_status(node: Node) -> str:
    """Empty as long as its agent has never said."""
    return next((c.status for c in node.status.conditions if c.type == "Ready"), "")


def taints_of(node: Node, now: datetime) -> tuple[Taint, ...]:
    """The taints its conditions call for, beside those that others have set."""
    wanted: list[tuple[str, str]] = []
    status = ready_status(node)
    if not status:
        wanted.append((NOT_READY, "NoSchedule"))
    elif status == "False":
        wanted += [(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")]
    elif status == "Unknown":
        wanted += [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
    for condition in node.status.conditions:
        if condition.type in PRESSURES and condition.status == "True":
            wanted.append((PRESSURES[condition.type], "NoSchedule"))
    if node.spec.unschedulable:
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    have = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    kept = [taint for taint in node.spec.taints if taint.key not in OURS]
    stamp = now.replace(microsecond=0)
    made = [
        have.get(pair) or Taint(key=pair[0], effect=pair[1], time_added=stamp if pair[1] == "NoExecute" else None)
        for pair in wanted
    ]
    return (*kept, *made)


def free_range(cluster: str, taken: Sequence[str]) -> str:
    """The first /24 of the cluster's range that no node has."""
    used = set(taken)
    for network in ipaddress.ip_network(cluster).subnets(new_prefix=24):
        if str(network) not in used:
            return str(network)
    raise ValueError(f"{cluster} has no free /24 left for another node")


class NodeController:
    name: ClassVar[str] = "node-controller"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._nodes = context.informers.of(Node).lister
        self._pods = context.informers.of(Pod)
        self._pods.add_index("node", lambda pod: (pod.spec.node_name,) if pod.spec.node_name else ())
        self._registered: set[str] = set()
        self._seen: dict[str, tuple[datetime | None, float]] = {}
        self._leases = context.informers.of(Lease).lister
        self.watches = (itself(Node), Watch(Lease, _node_of_lease))

    async def reconcile(self, key: Key) -> After | None:
        node = self._nodes.get(key.name)
        if node is None:
            self._seen.pop(key.name, None)
            self._registered.discard(key.name)
            return None
        if key.name not in self._registered:
            self._registered.add(key.name)
            message = f"Node {key.name} event: Registered Node {key.name} in Controller"
            self._context.events.normal(node, "RegisteredNode", message)
        if not node.spec.pod_cidr:
            taken = [other.spec.pod_cidr for other in self._nodes.list()]
            pod_range = free_range(self._context.settings.cluster_cidr, taken)
            await self._client.patch(
                Node, key.name, patch={"spec": {"podCIDR": pod_range, "podCIDRs": [pod_range]}}
            )
            return None
        left = self._grace_left(node)
        now = self._context.clock.now()
        if left <= 0 and ready_status(node) != "Unknown":
            await self._mark_unknown(node, now)
            self._context.events.normal(node, "NodeNotReady", f"Node {key.name} status is now: NodeNotReady")
            return None
        taints = taints_of(node, now)
        if taints != node.spec.taints:
            fresh = msgspec.structs.replace(node, spec=msgspec.structs.replace(node.spec, taints=taints))
            await self._client.update(fresh)
            return None
        return After(left + 0.5) if left > 0 else None

    def _grace_left(self, node: Node) -> float:
        """Seconds until the node counts as lost: from when we saw its Lease change, by our own clock."""
        lease = self._leases.get(node.metadata.name, NODE_LEASES)
        renewed = lease.spec.renew_time if lease is not None else None
        now = self._context.clock.monotonic()
        seen = self._seen.get(node.metadata.name)
        if seen is None or seen[0] != renewed:
            seen = self._seen[node.metadata.name] = (renewed, now)
        return seen[1] + GRACE - now

    async def _mark_unknown(self, node: Node, now: datetime) -> None:
        stamp = now.replace(microsecond=0)
        conditions = tuple(
            msgspec.structs.replace(
                c,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                last_transition_time=stamp,
            )
            if c.type in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
            else c
            for c in node.status.conditions
        )
        if not any(c.type == "Ready" for c in conditions):
            conditions = (
                *conditions,
                NodeCondition(
                    type="Ready",
                    status="Unknown",
                    reason="NodeStatusNeverUpdated",
                    message="Kubelet never posted node status.",
                    last_transition_time=stamp,
                ),
            )
        status = msgspec.structs.replace(node.status, conditions=conditions)
        await self._client.update(msgspec.structs.replace(node, status=status), subresource="status")
        for pod in self._pods.lister.by_index("node", node.metadata.name):
            if any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions):
                patch = [
                    {**msgspec.to_builtins(c), "status": "False", "lastTransitionTime": time.text(now)}
                    if c.type in ("Ready", "ContainersReady")
                    else msgspec.to_builtins(c)
                    for c in pod.status.conditions
                ]
                await self._client.patch(
                    Pod,
                    pod.metadata.name,
                    pod.metadata.namespace,
                    patch={"status": {"conditions": patch}},
                    subresource="status",
                )


def _node_of_lease(lease: Object) -> Sequence[Key]:
    return [Key("", lease.metadata.name)] if lease.metadata.namespace == NODE_LEASES else []
