"""Where a claim's data is on this node: the claim, its volume, and the directory behind that.

Rules and words: pkg/kubelet/volumemanager/populator, pkg/volume/local and hostpath.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from minikube.api import local_path
from minikube.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from minikube.api.volumes import claim_name, foreign_claim, fully_bound, reachable
from minikube.client.base import Client
from minikube.errors import ApiError
from minikube.node.volumes import host_path
from minikube.node.volumes.ownership import all_containers
from minikube.node.volumes.problems import MountProblem, Unmet, set_up_failed


class Place(msgspec.Struct, frozen=True):
    """A directory outside the pod's own, or a block device; `grouped`: fsGroup is applied to it; `no_exec`: nothing
    in it can be run."""

    path: Path
    read_only: bool = False
    grouped: bool = False
    device: bool = False
    no_exec: bool = False


def _unprocessed(volume: Volume, why: str) -> MountProblem:
    return MountProblem(
        f"Unable to attach or mount volumes: unmounted volumes=[{volume.name}], unattached volumes=[], "
        f"failed to process volumes=[{volume.name}]: {why}"
    )


class PersistentVolumes:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def place(self, pod: Pod, volume: Volume, node: Node | None) -> Place:
        """Of a volume that is a claim or generic ephemeral. Raises MountProblem."""
        claim = await self._claim(pod, volume)
        where = f"error processing PVC {claim.metadata.namespace}/{claim.metadata.name}"
        try:
            persistent = await self._client.get(PersistentVolume, claim.spec.volume_name)
        except ApiError as error:
            name = claim.spec.volume_name
            why = f"{where}: failed to fetch PV {name} from API server: {error.message}"
            raise _unprocessed(volume, why) from error
        reference = persistent.spec.claim_ref
        if reference is None or reference.uid != claim.metadata.uid:
            why = f"{where}: PV {persistent.metadata.name} is not bound to this PVC"
            raise _unprocessed(volume, why)
        if why := wrong_use(pod, volume, persistent.spec.volume_mode or "Filesystem"):
            raise _unprocessed(volume, why)
        if node is not None and not reachable(persistent, node):
            name = persistent.metadata.name
            raise MountProblem(
                f'MountVolume.NodeAffinity check failed for volume "{name}" : no matching NodeSelectorTerms'
            )
        source = volume.persistent_volume_claim
        block = persistent.spec.volume_mode == "Block"
        place = await (_device(persistent) if block else _directory(persistent))
        return msgspec.structs.replace(place, read_only=bool(source is not None and source.read_only))

    async def _claim(self, pod: Pod, volume: Volume) -> PersistentVolumeClaim:
        name, namespace = claim_name(pod, volume), pod.metadata.namespace
        where = f"error processing PVC {namespace}/{name}"
        try:
            claim = await self._client.get(PersistentVolumeClaim, name, namespace)
        except ApiError as error:
            why = f"{where}: failed to fetch PVC from API server: {error.message}"
            raise _unprocessed(volume, why) from error
        if claim.metadata.deletion_timestamp is not None and pod.status.phase != "Running":
            raise _unprocessed(volume, f"{where}: PVC is being deleted")
        if claim.status.phase != "Bound" or not fully_bound(claim):
            raise _unprocessed(volume, f"{where}: PVC is not bound")
        if volume.ephemeral is not None and (why := foreign_claim(pod, claim)):
            raise _unprocessed(volume, f"{where}: {why}")
        return claim


def wrong_use(pod: Pod, volume: Volume, mode: str) -> str:
    """A file system is mounted, a block device is not; empty if containers see it so."""
    mounts = {mount.name for each in all_containers(pod) for mount in each.volume_mounts}
    devices = {device.name for each in all_containers(pod) for device in each.volume_devices}
    what = f"volume {volume.name} has volumeMode {mode}, but is specified in"
    if volume.name in mounts and mode != "Filesystem":
        return f"{what} volumeMounts"
    if volume.name in devices and mode != "Block":
        return f"{what} volumeDevices"
    return ""


async def _device(volume: PersistentVolume) -> Place:
    """Raises MountProblem."""
    spec, name = volume.spec, volume.metadata.name
    if spec.local is None:
        raise MountProblem(
            f'MapVolume.NewBlockVolumeMapper initialization failed for volume "{name}" : no volume plugin matched'
        )
    path = Path(spec.local.path)
    try:
        kind = await asyncio.to_thread(host_path.kind_of, path)
    except OSError as error:
        raise MountProblem(f'MapVolume.MapPodDevice failed for volume "{name}" : {error}') from error
    if kind != "BlockDevice":
        raise MountProblem(f'MapVolume.MapPodDevice failed for volume "{name}" : {path} is not a block device')
    return Place(await asyncio.to_thread(path.resolve), device=True)


async def _directory(volume: PersistentVolume) -> Place:
    """Raises MountProblem."""
    spec, name = volume.spec, volume.metadata.name
    if spec.host_path is not None:
        path = Path(spec.host_path.path)
        try:
            await asyncio.to_thread(host_path.check, path, spec.host_path.type)
        except Unmet as error:
            raise set_up_failed(name, error) from error
        return Place(path)
    if spec.local is None:
        raise set_up_failed(name, "no volume plugin matched")
    path = Path(spec.local.path)
    if local_path.is_local_path(volume):
        await asyncio.to_thread(_make, path)
    elif not await asyncio.to_thread(path.exists):
        raise MountProblem(
            f'MountVolume.NewMounter initialization failed for volume "{name}" : path "{path}" does not exist'
        )
    return Place(path, grouped=True)


def _make(path: Path) -> None:
    """A new volume: anybody may write to it until an fsGroup says otherwise."""
    if not path.exists():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
