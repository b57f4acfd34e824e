"""The volumes of this node's pods: made before a pod's containers, kept current, taken away after them.

Each pod's own are below pods_dir/<uid>/volumes; claims and host paths are elsewhere on the node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from minikube.api.certificates_v1 import ClusterTrustBundle
from minikube.api.core_v1 import ConfigMap, Node, Pod, Secret, Volume
from minikube.api.meta import Key
from minikube.api.volumes import claim_name
from minikube.client.base import Client, Informers
from minikube.node.container.env import Facts, config_maps, secrets
from minikube.node.host.mounts import is_mount, mount_tmpfs, remove_tree, share, unmount_below, unshare
from minikube.node.volumes import empty_dir, files, host_path
from minikube.node.volumes.atomic import File, write
from minikube.node.volumes.ownership import all_containers, group_of, only_on_mismatch, set_group
from minikube.node.volumes.persistent import PersistentVolumes, Place
from minikube.node.volumes.pod_certificates import PodCertificates
from minikube.node.volumes.problems import MountProblem, Unmet, set_up_failed
from minikube.node.volumes.references import NotSynced, References
from minikube.node.volumes.tokens import Tokens
from minikube.node.volumes.usage import Measures, Usage, measures_of, usage_of


def used_volumes(pod: Pod) -> list[Volume]:
    """Those that a container mounts; the kubelet makes no others."""
    names = {mount.name for each in all_containers(pod) for mount in each.volume_mounts}
    names |= {device.name for each in all_containers(pod) for device in each.volume_devices}
    return [volume for volume in pod.spec.volumes if volume.name in names]


def shows_bundles(pod: Pod) -> bool:
    return any(files.needs_bundles(volume) for volume in used_volumes(pod))


def config_map_names(pod: Pod) -> set[str]:
    """All that volumes and environments of the pod need."""
    found = {name for volume in used_volumes(pod) for name in files.config_map_names(volume)}
    return found | {
        name for each in (*pod.spec.init_containers, *pod.spec.containers) for name in config_maps(each)
    }


def secret_names(pod: Pod) -> set[str]:
    found = {name for volume in used_volumes(pod) for name in files.secret_names(volume)}
    return found | {name for each in (*pod.spec.init_containers, *pod.spec.containers) for name in secrets(each)}


class Volumes:
    def __init__(
        self,
        client: Client,
        informers: Informers,
        references: tuple[References[ConfigMap], References[Secret]],
        tokens: Tokens,
        certificates: PodCertificates,
        *,
        pods_dir: Path,
        node: str,
    ) -> None:
        self._informers = informers
        self._config_maps, self._secrets = references
        self._tokens, self._certificates, self._persistent = tokens, certificates, PersistentVolumes(client)
        self._pods_dir, self._node = pods_dir, node
        self._nodes = informers.of(Node, fields=f"metadata.name={node}")
        self._places: dict[str, dict[str, Place]] = {}
        self._started = asyncio.Event()

    async def start(self) -> None:
        """Mounts that containers make in a pod's volumes are to be seen by its others: the directory is shared."""
        await asyncio.to_thread(share, self._pods_dir)
        self._started.set()

    def stop(self) -> None:
        unshare(self._pods_dir)

    async def ready(self) -> None:
        """What `facts` are taken from is there."""
        await self._nodes.wait_synced()

    def directory(self, uid: str) -> Path:
        return self._pods_dir / uid

    def place(self, uid: str, volume: Volume) -> Place:
        """Where it is, once set up."""
        return self._places[uid][volume.name]

    def facts(self, ips: Collection[str] = (), host_ips: Collection[str] = ()) -> Facts:
        node = self._nodes.lister.get(self._node)
        allocatable = {name: str(amount) for name, amount in node.status.allocatable.items()} if node else {}
        return Facts(self._node, tuple(host_ips), tuple(ips), allocatable)

    # ---- set up --------------------------------------------------------------------------------------

    async def set_up(self, pod: Pod) -> None:
        """Make what is missing, all volumes at once. Raises MountProblem with the first that can't be."""
        await self.ready()
        await self._started.wait()  # what was mounted before would be hidden by the directory's own mount
        self._hold(pod)
        known = self._places.setdefault(pod.metadata.uid, {})
        made = (self._one(pod, volume) for volume in used_volumes(pod) if volume.name not in known)
        for problem in await asyncio.gather(*made, return_exceptions=True):
            if isinstance(problem, BaseException):
                raise problem

    async def refresh(self, pod: Pod) -> None:
        """Bring what has changed into the files of a pod that runs. Raises MountProblem: old files stay."""
        await self.ready()
        await self._started.wait()  # what was mounted before would be hidden by the directory's own mount
        self._hold(pod)
        for volume in used_volumes(pod):
            if files.has_files(volume):
                await self._one(pod, volume)

    def due_in(self, uid: str) -> float | None:
        """Seconds until a refresh is needed although nothing changes: a token or a certificate gets old."""
        times = (self._tokens.due_in(uid), self._certificates.due_in(uid))
        return min((each for each in times if each is not None), default=None)

    def _hold(self, pod: Pod) -> None:
        uid, namespace = pod.metadata.uid, pod.metadata.namespace
        self._config_maps.hold(uid, frozenset(Key(namespace, name) for name in config_map_names(pod)))
        self._secrets.hold(uid, frozenset(Key(namespace, name) for name in secret_names(pod)))

    async def _one(self, pod: Pod, volume: Volume) -> None:
        """Raises MountProblem."""
        uid, path = pod.metadata.uid, self.path(pod.metadata.uid, volume.name)
        place = Place(path, read_only=files.has_files(volume))
        try:
            if volume.empty_dir is not None:
                size = empty_dir.memory_size(pod, volume.empty_dir, self.facts().allocatable)
                await asyncio.to_thread(empty_dir.set_up, path, pod, volume.empty_dir, size, group_of(pod))
            elif (source := volume.host_path) is not None:
                await asyncio.to_thread(host_path.check, Path(source.path), source.type)
                place = Place(Path(source.path))
            elif volume.persistent_volume_claim is not None or volume.ephemeral is not None:
                place = await self._claim(pod, volume)
            elif files.has_files(volume):
                content = files.files_of(pod, volume, await self._sources(pod, volume))
                await asyncio.to_thread(_write, path, content, group_of(pod), memory=files.in_memory(volume))
            elif volume.csi is not None:
                raise Unmet(
                    "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name "
                    f"{volume.csi.driver} not found in the list of registered CSI drivers"
                )
            elif volume.image is not None:  # mounted for the first container that needs it, when the image is here
                await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)
                place = Place(path, read_only=True, no_exec=True)
            else:
                raise Unmet("no volume plugin matched")
        except (Unmet, NotSynced, OSError) as error:
            raise set_up_failed(volume.name, error) from error
        self._places.setdefault(uid, {})[volume.name] = place

    async def _claim(self, pod: Pod, volume: Volume) -> Place:
        place, group = await self._persistent.place(pod, volume, self._nodes.lister.get(self._node)), group_of(pod)
        if place.grouped and not place.read_only and group is not None:
            on_mismatch = only_on_mismatch(pod)
            await asyncio.to_thread(set_group, place.path, group, only_on_mismatch=on_mismatch)
        return place

    async def _sources(self, pod: Pod, volume: Volume) -> files.Sources:
        """Raises Unmet or NotSynced."""
        namespace = pod.metadata.namespace
        bundles: tuple[ClusterTrustBundle, ...] = ()
        if files.needs_bundles(volume):
            informer = self._informers.of(ClusterTrustBundle)
            await informer.wait_synced()
            bundles = tuple(informer.lister.list())
        return files.Sources(
            config_maps={
                name: await self._config_maps.get(Key(namespace, name)) for name in files.config_map_names(volume)
            },
            secrets={name: await self._secrets.get(Key(namespace, name)) for name in files.secret_names(volume)},
            tokens={kind: await self._tokens.get(pod, kind) for kind in files.token_kinds(volume)},
            bundles=bundles,
            certificates={
                slot: await self._certificates.get(pod, slot, source, self._nodes.lister.get(self._node))
                for slot, source in files.certificate_slots(volume)
            },
            facts=self.facts(),
        )

    def path(self, uid: str, volume: str) -> Path:
        """Where a volume of the pod itself is, by its name."""
        return self.directory(uid) / "volumes" / volume

    # ---- usage, tear down ----------------------------------------------------------------------------

    async def usage(self, pod: Pod) -> Mapping[str, Usage]:
        """Of each volume that goes with the pod, by the volume's name: claims may be huge, and are not its own."""
        known = self._places.get(pod.metadata.uid, {})
        local = [volume for volume in used_volumes(pod) if volume.empty_dir is not None or files.has_files(volume)]
        mine = [volume for volume in local if volume.name in known]
        paths = [known[volume.name].path for volume in mine]
        used = await asyncio.to_thread(lambda: [usage_of(path) for path in paths])
        return {volume.name: one for volume, one in zip(mine, used, strict=True)}

    async def measures(self, pod: Pod) -> Mapping[str, Measures]:
        """Of the volumes that the kubelet measures, by name: those that go with the pod, and its claims, of which
        only the file systems are measured."""
        known = self._places.get(pod.metadata.uid, {})

        def look() -> dict[str, Measures]:
            found = {}
            for volume in used_volumes(pod):
                claim = claim_name(pod, volume)
                own = volume.empty_dir is not None or files.has_files(volume)
                if volume.name in known and (own or claim) and not known[volume.name].device:
                    with contextlib.suppress(OSError):  # it has just gone
                        found[volume.name] = measures_of(known[volume.name].path, whole=not own)
            return found

        return await asyncio.to_thread(look)

    async def release(self, uid: str) -> None:
        """Unmount and delete the volumes of a pod whose containers have ended. Raises OSError."""
        self._forget(uid)
        directory = self.directory(uid)
        await asyncio.to_thread(_tear_down, directory / "volume-subpaths", directory / "volumes")

    async def tear_down(self, uid: str) -> None:
        """Unmount and delete everything of a pod whose containers are gone. Raises OSError."""
        self._forget(uid)
        await asyncio.to_thread(_tear_down, self.directory(uid))

    def _forget(self, uid: str) -> None:
        self._config_maps.hold(uid, frozenset())
        self._secrets.hold(uid, frozenset())
        self._tokens.forget(uid)
        self._certificates.forget(uid)
        self._places.pop(uid, None)

    def on_disk(self) -> list[str]:
        """Uids of pods that have a directory. Blocks."""
        return [each.name for each in self._pods_dir.iterdir()] if self._pods_dir.is_dir() else []


def _write(path: Path, content: list[File], group: int | None, *, memory: bool) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if memory and not is_mount(path):
        mount_tmpfs(path)
    write(path, content, group)


def _tear_down(*directories: Path) -> None:
    for directory in directories:
        unmount_below(directory)
        remove_tree(directory)


__all__ = ["MountProblem", "Volumes", "used_volumes"]
