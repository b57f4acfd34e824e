"""This node's own objects: Node, CSINode, status (written on change or every 5 minutes), heartbeat lease."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from minikube.api import time
from minikube.api.coordination_v1 import Lease, LeaseSpec
from minikube.api.core_v1 import (
    Node,
    NodeSpec,
    Taint,
)
from minikube.api.meta import ObjectMeta, OwnerReference, replace_meta, to_dict
from minikube.api.quantity import parse
from minikube.api.storage_v1 import CSINode
from minikube.api.well_known import NODE_LEASES
from minikube.client.base import Client
from minikube.errors import AlreadyExists, ApiError, NotFound
from minikube.kit.clock import Clock
from minikube.node.devices.base import Supply
from minikube.node.network.peers import SEEN_FROM, advice, outside
from minikube.node.node_status import Machine, difference, node_status, without_heartbeats
from minikube.node.runtime.base import Image, RuntimeInfo
from minikube.node.upkeep.capacity import allocatable_of, capacity_of, parse_reserved
from minikube.settings import Settings

LEASE_SECONDS, RENEW_EVERY = 40, 10.0
REPORT_EVERY = 300.0


class Registration:
    """Keeps Node and Lease true. `node` is the newest Node that this process wrote or read."""

    def __init__(self, client: Client, settings: Settings, clock: Clock, name: str, ips: Sequence[str]) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._name, self._ips = name, ips
        self.machine = Machine()
        self._reported = float("-inf")
        self._sightings: dict[str, str] = {}
        self._seen_from = ""

    def for_pods(self) -> tuple[float, int]:
        """Cores and bytes of memory that pods may use together: what is not reserved for others."""
        machine, settings = self.machine, self._settings
        capacity = capacity_of(machine.cpus, machine.memory, 0, 0, machine.huge_pages, {})
        reserved = [parse_reserved(text) for text in (settings.kube_reserved, settings.system_reserved)]
        left = allocatable_of(capacity, reserved, ())
        return float(parse(left["cpu"])), int(parse(left["memory"]))

    def seen(self, server: str, address: str) -> bool:
        """A server says that this node has come from there; whether that makes a difference."""
        self._sightings[server] = address
        before, self._seen_from = self._seen_from, outside(self._sightings)
        return before != self._seen_from

    @property
    def apart(self) -> str:
        """Why pods here and on other nodes do not reach each other; empty: they do."""
        return advice(self._seen_from, self._settings.node_external_ip)

    async def register(self) -> Node:
        """The Node object, made if it is not there, and its CSINode; our own labels are kept true."""
        node = await self._node()
        await self._csi_node(node)
        return node

    async def _node(self) -> Node:
        labels = {
            "beta.kubernetes.io/arch": self.machine.architecture,
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": self.machine.architecture,
            "kubernetes.io/hostname": self._name,
            "kubernetes.io/os": "linux",
        }
        for text in self._settings.node_label:
            key, _, value = text.partition("=")
            labels[key] = value
        taints = tuple(_taint(text) for text in self._settings.node_taint)
        node = Node(metadata=ObjectMeta(name=self._name, labels=labels), spec=NodeSpec(taints=taints))
        try:
            return await self._client.create(node)
        except AlreadyExists:
            found = await self._client.get(Node, self._name)
        if all(found.metadata.labels.get(key) == value for key, value in labels.items()):
            return found
        return await self._client.patch(Node, self._name, patch={"metadata": {"labels": labels}})

    async def _csi_node(self, node: Node) -> None:
        """Every node has one, also without drivers: who looks for drivers there finds that there are none."""
        owners = (self._owner(node),)
        meta = ObjectMeta(name=self._name, owner_references=owners)
        try:
            await self._client.create(CSINode(metadata=meta))
        except AlreadyExists:
            found = await self._client.get(CSINode, self._name)
            if node.metadata.uid not in {each.uid for each in found.metadata.owner_references}:
                await self._client.update(replace_meta(found, owner_references=owners))

    def _owner(self, node: Node) -> OwnerReference:
        return OwnerReference(api_version="v1", kind="Node", name=self._name, uid=node.metadata.uid)

    async def report(
        self,
        info: RuntimeInfo | None,
        images: Sequence[Image],
        pressure: frozenset[str] = frozenset(),
        devices: Mapping[str, Supply] = {},
        *,
        trouble: str = "",
        shutting_down: bool = False,
    ) -> tuple[Node, Node]:
        """Write the status if it has changed or the last report is old; the node before and after that."""
        try:
            node = await self._client.get(Node, self._name)
        except NotFound:
            node = await self.register()
        if node.metadata.annotations.get(SEEN_FROM, "") != self._seen_from:
            annotations = {SEEN_FROM: self._seen_from or None}
            node = await self._client.patch(Node, self._name, patch={"metadata": {"annotations": annotations}})
        disk = await asyncio.to_thread(_disk, self._settings.data_dir)
        now = self._clock.now()
        status = node_status(
            node.status,
            self.machine,
            info,
            images,
            self._settings,
            self._name,
            self._ips,
            now,
            disk,
            pressure,
            devices,
            trouble=trouble,
            shutting_down=shutting_down,
            apart=self.apart,
        )
        old = self._clock.monotonic() - self._reported >= REPORT_EVERY
        if not old and without_heartbeats(status) == without_heartbeats(node.status):
            return node, node
        patch = difference(to_dict(node.status), to_dict(status))
        written = await self._client.patch(Node, self._name, patch={"status": patch}, subresource="status")
        self._reported = self._clock.monotonic()
        return node, written

    async def heartbeat(self) -> None:
        """Renew the lease every 10 s until cancelled; errors are for the next try."""
        pause = 1.0
        while True:
            try:
                await self._renew()
            except (ApiError, OSError):
                await self._clock.sleep(pause)
                pause = min(RENEW_EVERY, 2 * pause)
                continue
            pause = 1.0
            await self._clock.sleep(RENEW_EVERY)

    async def _renew(self) -> None:
        now = time.micro(self._clock.now())
        try:
            await self._client.patch(
                Lease,
                self._name,
                NODE_LEASES,
                patch={"spec": {"renewTime": time.micro_text(now), "holderIdentity": self._name}},
            )
        except NotFound:
            node = await self._client.get(Node, self._name)
            meta = ObjectMeta(name=self._name, namespace=NODE_LEASES, owner_references=(self._owner(node),))
            spec = LeaseSpec(holder_identity=self._name, lease_duration_seconds=LEASE_SECONDS, renew_time=now)
            await self._client.create(Lease(metadata=meta, spec=spec))


def _disk(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).total


def _taint(text: str) -> Taint:
    """key[=value]:Effect"""
    rest, _, effect = text.rpartition(":")
    key, _, value = rest.partition("=")
    return Taint(key=key, value=value, effect=effect)
