"""What a pod's containers are given: environment, mounts and pull secrets, from the API and the node's files."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from minikube.api.core_v1 import ConfigMap, Pod, Secret, Service
from minikube.api.core_v1 import Container as Wanted
from minikube.client.base import Client, Informers
from minikube.errors import NotFound
from minikube.node import env
from minikube.node.keyring import credentials
from minikube.node.runtime.archive import full_name
from minikube.node.runtime.base import Auth, Container, Mount
from minikube.node.runtime.registries import Registries
from minikube.node.spec import ConfigProblem
from minikube.node.volumes.volumes import Volumes
from minikube.settings import Settings

MESSAGE_LIMIT = 4096


class Inputs:
    def __init__(
        self, client: Client, informers: Informers, settings: Settings, node_name: str, host_ips: Sequence[str]
    ) -> None:
        self._client, self._settings = client, settings
        self._node, self._host_ips = node_name, host_ips
        self._registries = Registries.load(settings)
        self._services = informers.of(Service)
        self._volumes = Volumes(client, settings, node_name, host_ips)

    async def environment(self, pod: Pod, wanted: Wanted, ips: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Raises ConfigProblem."""
        await self._services.wait_synced()
        maps: dict[str, Mapping[str, str] | None] = {}
        secrets: dict[str, Mapping[str, str] | None] = {}
        for name in env.config_maps(wanted):
            maps[name] = await self._config_map(pod, name)
        for name in env.secrets(wanted):
            secrets[name] = await self._secret(pod, name)
        facts = env.Facts(self._node, tuple(self._host_ips), tuple(ips))
        services = self._services.lister.list()
        return env.resolve(pod, wanted, services, maps, secrets, facts)

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
        """Raises ConfigProblem when a volume cannot be set up yet."""
        await self._volumes.set_up(pod, ())

    async def refresh(self, pod: Pod, ips: Sequence[str]) -> None:
        """Bring changed ConfigMaps, Secrets, labels and due tokens into the volumes."""
        try:
            await self._volumes.set_up(pod, ips)
        except ConfigProblem:
            return

    async def mounts(
        self, pod: Pod, wanted: Wanted, attempt: int, ips: Sequence[str], known: Mapping[str, str]
    ) -> Sequence[Mount]:
        """Raises ConfigProblem."""
        await self._volumes.set_up(pod, ips)
        return await self._volumes.mounts(pod, wanted, attempt, ips, known)

    async def remove(self, uid: str) -> None:
        await self._volumes.tear_down(uid)

    async def keep_only(self, uids: frozenset[str]) -> None:
        directory = self._settings.pods_dir
        if directory.is_dir():
            for each in list(directory.iterdir()):
                if each.name not in uids:
                    await self._volumes.tear_down(each.name)

    def with_termination_message(self, pod: Pod, container: Container) -> Container:
        path = self._volumes.message_path(pod.metadata.uid, container.name, container.attempt)
        try:
            text = path.read_bytes()[:MESSAGE_LIMIT].decode(errors="replace")
        except OSError:
            return container
        return replace(container, message=text) if text else container

    async def pull_secrets(self, pod: Pod, reference: str) -> Sequence[Auth]:
        """What to try in order: imagePullSecrets that fit the image, then the node's own credentials."""
        secrets = []
        for each in pod.spec.image_pull_secrets:
            with contextlib.suppress(NotFound):
                secrets.append(await self._client.get(Secret, each.name, pod.metadata.namespace))
        own = self._registries.auth(full_name(reference))
        return (*credentials(secrets, reference), *((own,) if own is not None else ()))
