"""What a pod's containers are given: environment, mounts and pull secrets, from the API and the node's files.

While a pod is there its files follow their sources: nothing is polled, each change of a ConfigMap, a Secret, the
pod's own labels or a token's age puts the pod into a queue, and `run` brings it up to date.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from minikube.api.certificates_v1 import ClusterTrustBundle
from minikube.api.core_v1 import ConfigMap, Pod, Secret, Service, Volume
from minikube.api.core_v1 import Container as Wanted
from minikube.client.base import Client, Informers
from minikube.client.events import EventRecorder
from minikube.errors import ApiError, NotFound
from minikube.kit.backoff import Backoff
from minikube.kit.clock import Clock
from minikube.kit.workqueue import WorkQueue
from minikube.node.container import env, env_files
from minikube.node.container.keyring import credentials
from minikube.node.container.spec import log_directory
from minikube.node.container.termination import termination_message
from minikube.node.pod.pods import container_named, containers_of
from minikube.node.runtime.base import Auth, Container, Device, Mount, RuntimeInfo
from minikube.node.volumes.container_mounts import ContainerMounts
from minikube.node.volumes.pod_certificates import PodCertificates
from minikube.node.volumes.problems import MountProblem
from minikube.node.volumes.references import References
from minikube.node.volumes.tokens import Tokens
from minikube.node.volumes.usage import Measures, Usage
from minikube.node.volumes.volumes import Volumes, shows_bundles
from minikube.settings import Settings

log = logging.getLogger(__name__)

REFRESHING = 2
"""Pods whose files are brought up to date at the same time."""


class Inputs:
    """`wake(uid)` is called when something that a pod's volumes need has changed."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        settings: Settings,
        node_name: str,
        host_ips: Sequence[str],
        *,
        recorder: EventRecorder,
        clock: Clock,
        wake: Callable[[str], None],
    ) -> None:
        self._client, self._host_ips, self._recorder = client, host_ips, recorder
        self._settings = settings
        self._services = informers.of(Service)
        self._pods = informers.of(Pod, fields=f"spec.nodeName={node_name}")
        self._wake = wake
        self._config_maps = References(client, ConfigMap, self._changed)
        self._secrets = References(client, Secret, self._changed)
        self._certificates = PodCertificates(client, clock, recorder, self._changed)
        self._volumes = Volumes(
            client,
            informers,
            (self._config_maps, self._secrets),
            Tokens(client, clock, settings.pods_dir),
            self._certificates,
            pods_dir=settings.pods_dir,
            node=node_name,
        )
        self._mounts = ContainerMounts(self._volumes, settings)
        self._current: dict[str, Pod] = {}
        """Pods whose volumes have been set up, as last seen."""
        self._informers, self._bundles_followed = informers, False
        self._locks: dict[str, asyncio.Lock] = {}
        self._queue: WorkQueue[str] = WorkQueue()

    async def run(self) -> None:
        """Keep the files of all pods current until cancelled."""
        await self._volumes.start()
        self._pods.add_handler(self._pod_changed)
        backoff: Backoff[str] = Backoff(base=0.5, limit=120.0)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._config_maps.run(), name="config maps of pods")
                tasks.create_task(self._secrets.run(), name="secrets of pods")
                tasks.create_task(self._certificates.run(), name="certificates of pods")
                for _ in range(REFRESHING):
                    tasks.create_task(self._keep_current(backoff), name="files of pods")
        finally:
            self._queue.close()
            self._volumes.stop()

    def runtime_is(self, info: RuntimeInfo) -> None:
        """What the runtime says of itself decides what a mount may ask for."""
        self._mounts.recursive_read_only = info.handler("").recursive_read_only

    @property
    def recursive_read_only(self) -> bool:
        """Whether containers can have mounts that are read-only with all that is mounted in them."""
        return self._mounts.recursive_read_only

    # ---- before containers start ---------------------------------------------------------------------

    async def environment(self, pod: Pod, wanted: Wanted, ips: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Raises ConfigProblem."""
        await self._services.wait_synced()
        await self._volumes.ready()
        maps: dict[str, Mapping[str, str] | None] = {}
        secrets: dict[str, Mapping[str, str] | None] = {}
        for name in env.config_maps(wanted):
            maps[name] = await self._config_map(pod, name)
        for name in env.secrets(wanted):
            secrets[name] = await self._secret(pod, name)
        files = {}
        for volume, path in env_files.wanted_files(wanted):
            root = self._volumes.path(pod.metadata.uid, volume)
            files[volume, path] = await asyncio.to_thread(env_files.read, root / path, root)
        facts = self._volumes.facts(ips, self._host_ips)
        services = self._services.lister.list()
        return env.resolve(pod, wanted, services, env.Sources(maps, secrets, files), facts)

    async def _config_map(self, pod: Pod, name: str) -> Mapping[str, str] | None:
        try:
            return (await self._client.get(ConfigMap, name, pod.metadata.namespace)).data
        except NotFound:
            return None

    async def _secret(self, pod: Pod, name: str) -> Mapping[str, str] | None:
        try:
            found = await self._client.get(Secret, name, pod.metadata.namespace)
        except NotFound:
            return None
        return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in found.data.items()}

    async def prepare(self, pod: Pod) -> None:
        """Set up its volumes. Raises MountProblem when one can't be yet."""
        uid = pod.metadata.uid
        async with self._lock(uid):
            await self._volumes.set_up(pod)
            self._current[uid] = pod
            self._follow_bundles(pod)
        self._renew_in_time(uid)

    async def mounts(
        self, pod: Pod, wanted: Wanted, attempt: int, ips: Sequence[str], known: Mapping[str, str]
    ) -> Sequence[Mount]:
        """Raises ConfigProblem."""
        await self.prepare(pod)
        return await self._mounts.of(pod, wanted, attempt, ips, known)

    def devices(self, pod: Pod, wanted: Wanted) -> Sequence[Device]:
        """Once the mounts are there."""
        return self._mounts.devices(pod, wanted)

    # ---- while they run ------------------------------------------------------------------------------

    def _changed(self, uid: str) -> None:
        """A ConfigMap or Secret of the pod: its files may change, what failed for want of it may work now."""
        if uid in self._current:
            self._queue.add(uid)
        self._wake(uid)

    def _follow_bundles(self, pod: Pod) -> None:
        """Trust bundles are watched, all of them, from the first pod on that needs one."""
        if not self._bundles_followed and shows_bundles(pod):
            self._bundles_followed = True
            self._informers.of(ClusterTrustBundle).add_handler(self._bundle_changed)

    def _bundle_changed(self, old: ClusterTrustBundle | None, new: ClusterTrustBundle | None) -> None:
        for uid, pod in self._current.items():
            if shows_bundles(pod):
                self._queue.add(uid)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """Labels and annotations may be shown in a volume; a pod that was here before us is taken over."""
        if new is None:
            return
        uid = new.metadata.uid
        first = old is None and new.status.phase == "Running" and self._volumes.directory(uid).exists()
        before = self._current.get(uid)
        if before is not None:
            self._current[uid] = new
        if first or (before is not None and _shown(before) != _shown(new)):
            self._current.setdefault(uid, new)
            self._follow_bundles(new)
            self._queue.add(uid)

    async def _keep_current(self, backoff: Backoff[str]) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._refresh(uid)
            except (MountProblem, ApiError) as error:
                self._queue.add_after(uid, backoff.next(uid))
                if uid in self._current and isinstance(error, MountProblem):
                    self._recorder.warning(self._current[uid], "FailedMount", str(error))
            else:
                backoff.forget(uid)
            finally:
                self._queue.done(uid)

    async def _refresh(self, uid: str) -> None:
        if uid not in self._current:
            return
        async with self._lock(uid):
            pod = self._current.get(uid)
            if pod is not None and pod.metadata.deletion_timestamp is None:
                await self._volumes.refresh(pod)
        self._renew_in_time(uid)

    def _renew_in_time(self, uid: str) -> None:
        seconds = self._volumes.due_in(uid)
        if seconds is not None and uid in self._current:
            self._queue.add_after(uid, max(1.0, seconds))

    def _lock(self, uid: str) -> asyncio.Lock:
        return self._locks.setdefault(uid, asyncio.Lock())

    async def usage(self, pod: Pod) -> Mapping[str, Usage]:
        """What each volume that goes with the pod holds, by its name."""
        return await self._volumes.usage(pod)

    async def volume_measures(self, pod: Pod) -> Mapping[str, Measures]:
        """Of each volume that the kubelet measures, by its name."""
        return await self._volumes.measures(pod)

    def place_of(self, pod: Pod, volume: Volume) -> Path:
        """Where a volume that is set up is."""
        return self._volumes.place(pod.metadata.uid, volume).path

    # ---- after them ----------------------------------------------------------------------------------

    async def release(self, uid: str) -> None:
        """Unmount and delete the volumes of a pod that has ended; what tells of its end stays. Raises OSError."""
        async with self._lock(uid):
            self._current.pop(uid, None)
            await self._volumes.release(uid)

    async def remove(self, uid: str) -> None:
        """Unmount and delete everything of a pod whose containers are gone. Raises OSError."""
        async with self._lock(uid):
            self._current.pop(uid, None)
            await self._volumes.tear_down(uid)
        self._locks.pop(uid, None)

    async def keep_only(self, uids: frozenset[str]) -> None:
        """Remove what pods left that went while nobody was looking."""
        for uid in await asyncio.to_thread(self._volumes.on_disk):
            if uid not in uids:
                try:
                    await self.remove(uid)
                except OSError as error:
                    log.warning("volumes of pod %s: %s", uid, error)

    def with_termination_message(self, pod: Pod, container: Container) -> Container:
        wanted = container_named(pod, container.name)
        if wanted is None:
            return container
        file = self._mounts.message_path(pod.metadata.uid, container.name, container.attempt)
        output = Path(log_directory(pod, self._settings)) / container.name / f"{container.attempt}.log"
        text = termination_message(file, output, wanted, container.exit_code, len(containers_of(pod)))
        return replace(container, message=text) if text else container

    async def pull_secrets(self, pod: Pod, reference: str) -> Sequence[Auth]:
        """What of its imagePullSecrets fits the image, in the order to try it."""
        secrets = []
        for each in pod.spec.image_pull_secrets:
            with contextlib.suppress(NotFound):
                secrets.append(await self._client.get(Secret, each.name, pod.metadata.namespace))
        return credentials(secrets, reference)


def _shown(pod: Pod) -> object:
    """What of a pod its downward API volumes may show."""
    resources = [each.resources for each in (*pod.spec.init_containers, *pod.spec.containers)]
    return pod.metadata.labels, pod.metadata.annotations, resources
