"""The files of an image as a read-only tree on this machine: containerd's native Snapshots and Diff services.

CRI mounts images into containers only since containerd 2.1; a view of a snapshot can be mounted with any. Field
numbers: containerd api/services/{snapshots,diff}/v1 and api/types.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc.aio

from minikube.node.runtime.base import NotFound, TreeMount
from minikube.node.runtime.channel import AlreadyExists, Native
from minikube.node.runtime.wire import decode, encode, entry

SNAPSHOTTER = "overlayfs"
POD_LABEL = "minikube/image-volume-of"
Manifest = Mapping[str, Any]


def chain_id(layers: Sequence[str]) -> str:
    """The name of the snapshot that these layers make, by the digests of their plain content (OCI image-spec)."""
    found = layers[0]
    for layer in layers[1:]:
        found = "sha256:" + hashlib.sha256(f"{found} {layer}".encode()).hexdigest()
    return found


class Snapshots:
    """Raises Unavailable, NotFound, RuntimeFault."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._native = Native(channel)

    async def view(self, key: str, pod_uid: str, manifest: Manifest, layers: Sequence[str]) -> Sequence[TreeMount]:
        """What to mount to see the tree; it stays until it is dropped. `layers`: as `chain_id` has them."""
        lease = "view-" + uuid.uuid4().hex
        await self._call("leases", "Leases/Create", encode((1, lease)))
        try:
            await self._unpack(manifest["layers"], layers, lease)
            labels = (
                entry(4, "containerd.io/gc.root", datetime.now(UTC).isoformat()),
                entry(4, POD_LABEL, pod_uid),
            )
            try:
                answer = await self._call(
                    "snapshots",
                    "Snapshots/View",
                    encode((1, SNAPSHOTTER), (2, key), (3, chain_id(layers)), *labels),
                    lease,
                )
            except AlreadyExists:
                answer = await self._call("snapshots", "Snapshots/Mounts", encode((1, SNAPSHOTTER), (2, key)))
            return [_mount(body) for body in _repeated(answer, 1)]
        finally:
            await self._call("leases", "Leases/Delete", encode((1, lease)))

    async def drop(self, keep: frozenset[str]) -> None:
        """Every view of pods other than these."""
        request = encode((1, SNAPSHOTTER), (2, f'labels."{POD_LABEL}"'))
        stale = []
        async for answer in self._native.stream("snapshots", "Snapshots/List", request):
            for info in _repeated(answer, 1):
                labels = dict(map(_pair, _repeated(info, 6)))
                if labels.get(POD_LABEL, "") not in keep:
                    stale.append(_repeated(info, 1)[0].decode())
        for key in stale:
            await self._call("snapshots", "Snapshots/Remove", encode((1, SNAPSHOTTER), (2, key)))

    async def _unpack(self, blobs: Sequence[Mapping[str, Any]], layers: Sequence[str], lease: str) -> None:
        """What the runtime does before a first container: an image from an archive may not have had one."""
        parent = ""
        for number, blob in enumerate(blobs, start=1):
            name = chain_id(layers[:number])
            if not await self._present(name, lease):
                key = f"unpack-{uuid.uuid4().hex}"
                made = await self._call(
                    "snapshots", "Snapshots/Prepare", encode((1, SNAPSHOTTER), (2, key), (3, parent)), lease
                )
                what = encode((1, blob["mediaType"]), (2, blob["digest"]), (3, blob["size"]))
                mounts = [(2, body) for body in _repeated(made, 1)]
                await self._call("diff", "Diff/Apply", encode((1, what), *mounts), lease)
                await self._call(
                    "snapshots", "Snapshots/Commit", encode((1, SNAPSHOTTER), (2, name), (3, key)), lease
                )
            parent = name

    async def _present(self, name: str, lease: str) -> bool:
        try:
            await self._call("snapshots", "Snapshots/Stat", encode((1, SNAPSHOTTER), (2, name)), lease)
        except NotFound:
            return False
        return True

    async def _call(self, service: str, method: str, request: bytes, lease: str = "") -> bytes:
        return await self._native.call(service, method, request, lease=lease, timeout=120)


def _repeated(message: bytes, field: int) -> list[bytes]:
    return [value for number, value in decode(message) if number == field and isinstance(value, bytes)]


def _pair(body: bytes) -> tuple[str, str]:
    key, value = (_repeated(body, 1) or [b""])[0], (_repeated(body, 2) or [b""])[0]
    return key.decode(), value.decode()


def _mount(body: bytes) -> TreeMount:
    kind, source = (_repeated(body, 1) or [b""])[0], (_repeated(body, 2) or [b""])[0]
    return TreeMount(kind.decode(), source.decode(), tuple(option.decode() for option in _repeated(body, 4)))
