"""The node's side of the local-path provisioner: says where its volumes are, and removes those that are deleted.

Directories are made when a pod first mounts them. `minikube.api.local_path` says who does what.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from minikube.api import local_path
from minikube.api.core_v1 import Node, PersistentVolume
from minikube.client.base import Client, Informers
from minikube.errors import ApiError, Conflict
from minikube.kit.backoff import Backoff
from minikube.kit.workqueue import WorkQueue
from minikube.node.host.mounts import remove_tree
from minikube.settings import Settings

log = logging.getLogger(__name__)


def due(volume: PersistentVolume, node: str) -> bool:
    """It is ours, on this node, being deleted, and no claim is bound to it any more."""
    meta = volume.metadata
    return (
        local_path.is_local_path(volume)
        and local_path.node_of(volume) == node
        and meta.deletion_timestamp is not None
        and local_path.FINALIZER in meta.finalizers
        and volume.status.phase != "Bound"
    )


def directory_of(volume: PersistentVolume) -> Path:
    """What of the node is the volume's own. Raises OSError: it names something else, which is left alone."""
    assert volume.spec.local is not None
    path, name = Path(volume.spec.local.path), volume.metadata.name
    if not local_path.names(path.name, name):
        raise OSError(f"{path} is not the directory of {name}")
    return path


class LocalPathVolumes:
    """`run` until cancelled."""

    def __init__(self, client: Client, informers: Informers, settings: Settings, node: str) -> None:
        self._client, self._node = client, node
        self._directory = settings.storage_dir
        self._nodes = informers.of(Node, fields=f"metadata.name={node}")
        self._volumes = informers.of(PersistentVolume)
        self._queue: WorkQueue[str] = WorkQueue()
        """Names of volumes; the empty one is the node itself."""

    async def run(self) -> None:
        self._nodes.add_handler(self._node_changed)
        self._volumes.add_handler(self._volume_changed)
        backoff: Backoff[str] = Backoff(base=0.1, limit=60.0)
        try:
            while True:
                name = await self._queue.get()
                try:
                    await (self._remove(name) if name else self._announce())
                except Conflict:
                    self._queue.add(name)
                except (ApiError, OSError) as error:
                    log.warning("local-path volume %s: %s", name or self._node, error)
                    self._queue.add_after(name, backoff.next(name))
                else:
                    backoff.forget(name)
                finally:
                    self._queue.done(name)
        finally:
            self._queue.close()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is not None and new.metadata.annotations.get(local_path.DIRECTORY) != str(self._directory):
            self._queue.add("")

    def _volume_changed(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if new is not None and due(new, self._node):
            self._queue.add(new.metadata.name)

    async def _announce(self) -> None:
        patch = {"metadata": {"annotations": {local_path.DIRECTORY: str(self._directory)}}}
        await self._client.patch(Node, self._node, patch=patch)

    async def _remove(self, name: str) -> None:
        """The directory unless it is retained, then the finalizer. Raises ApiError or OSError."""
        volume = self._volumes.lister.get(name)
        if volume is None or not due(volume, self._node):
            return
        if volume.spec.persistent_volume_reclaim_policy == "Delete":
            await asyncio.to_thread(remove_tree, directory_of(volume))
        kept = [each for each in volume.metadata.finalizers if each != local_path.FINALIZER]
        meta = {"finalizers": kept or None, "resourceVersion": volume.metadata.resource_version}
        await self._client.patch(PersistentVolume, name, patch={"metadata": meta})
