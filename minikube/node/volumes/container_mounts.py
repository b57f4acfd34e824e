"""What a container mounts: its volumes, their sub paths, /etc/hosts and its termination message; its devices.

Rules and words: pkg/kubelet makeMounts.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod, Volume, VolumeMount
from minikube.node.container.spec import domain_of, expand
from minikube.node.pod.problems import ConfigProblem
from minikube.node.runtime.base import Device, Mount
from minikube.node.volumes import sub_path
from minikube.node.volumes.hosts_file import etc_hosts
from minikube.node.volumes.volumes import Volumes
from minikube.settings import Settings

log = logging.getLogger(__name__)


def sub_path_of(mount: VolumeMount, known: Mapping[str, str]) -> str:
    """`known`: the container's environment. Raises ConfigProblem."""
    sub = mount.sub_path
    if mount.sub_path_expr:
        sub = expand(mount.sub_path_expr, known)
        for name in re.findall(r"(?<!\$)\$\(([^)]*)\)", mount.sub_path_expr):
            if name not in known:
                raise ConfigProblem(f'missing value for "{name}"')
    if sub.startswith("/"):
        raise ConfigProblem(f"error SubPath `{sub}` must not be an absolute path")
    if ".." in sub.split("/"):
        raise ConfigProblem(f"unable to provision SubPath `{sub}`: must not contain '..'")
    return sub


def recursive_read_only(mount: VolumeMount, *, supported: bool) -> bool:
    """Raises ConfigProblem when it is asked for and the runtime can't."""
    asked = mount.recursive_read_only
    if asked == "Enabled" and not supported:
        raise ConfigProblem(
            f'failed to resolve recursive read-only mode: volume "{mount.name}" requested recursive read-only mode,'
            " but it is not supported by the runtime"
        )
    return asked == "Enabled" or (asked == "IfPossible" and supported)


class ContainerMounts:
    def __init__(self, volumes: Volumes, settings: Settings) -> None:
        self._volumes, self._settings = volumes, settings
        self.recursive_read_only = False
        """Whether the runtime can do it."""

    async def of(
        self, pod: Pod, wanted: Wanted, attempt: int, ips: Sequence[str], known: Mapping[str, str]
    ) -> Sequence[Mount]:
        """Of a pod whose volumes are set up. Raises ConfigProblem."""
        uid = pod.metadata.uid
        volumes = {each.name: each for each in pod.spec.volumes}
        found = []
        for index, mount in enumerate(wanted.volume_mounts):
            if mount.name not in volumes:
                raise ConfigProblem(f'cannot find volume "{mount.name}" to mount into container "{wanted.name}"')
            found.append(await self._one(uid, wanted, volumes[mount.name], mount, index, known))
        if all(each.container_path != "/etc/hosts" for each in found):
            hosts = self._volumes.directory(uid) / "etc-hosts"
            await asyncio.to_thread(_write_text, hosts, etc_hosts(pod, ips, domain_of(pod, self._settings)))
            found.append(Mount(str(hosts), "/etc/hosts"))
        message = self.message_path(uid, wanted.name, attempt)
        await asyncio.to_thread(_write_text, message, "", 0o666)
        found.append(Mount(str(message), wanted.termination_message_path or "/dev/termination-log"))
        return found

    def devices(self, pod: Pod, wanted: Wanted) -> Sequence[Device]:
        """Block volumes of a pod whose volumes are set up."""
        volumes = {each.name: each for each in pod.spec.volumes}
        found = []
        for device in wanted.volume_devices:
            place = self._volumes.place(pod.metadata.uid, volumes[device.name])
            found.append(Device(str(place.path), device.device_path, "r" if place.read_only else "mrw"))
        return found

    def message_path(self, uid: str, container: str, attempt: int) -> Path:
        return self._volumes.directory(uid) / "containers" / container / str(attempt)

    async def _one(
        self, uid: str, wanted: Wanted, volume: Volume, mount: VolumeMount, index: int, known: Mapping[str, str]
    ) -> Mount:
        place = self._volumes.place(uid, volume)
        sub, host = sub_path_of(mount, known), place.path
        if sub:
            target = self._volumes.directory(uid) / "volume-subpaths" / volume.name / wanted.name / str(index)
            host = await asyncio.to_thread(_part, place.path, sub, target, mount.name, wanted.name)
        return Mount(
            str(host),
            mount.mount_path,
            read_only=bool(mount.read_only) or place.read_only,
            recursive_read_only=recursive_read_only(mount, supported=self.recursive_read_only),
            propagation="" if mount.mount_propagation in ("", "None") else mount.mount_propagation,
            no_exec=place.no_exec,
        )


def _part(root: Path, sub: str, target: Path, mount: str, container: str) -> Path:
    """Details stay in our log: they would tell a pod about the node's files. Raises ConfigProblem."""
    where = f'volumeMount "{mount}" of container "{container}"'
    try:
        if not (root / sub).exists():
            sub_path.make(root, sub)
    except OSError as error:
        log.warning("subPath of %s: %s", where, error)
        raise ConfigProblem(f"failed to create subPath directory for {where}") from error
    try:
        return sub_path.bind(root, sub, target)
    except OSError as error:
        log.warning("subPath of %s: %s", where, error)
        raise ConfigProblem(f"failed to prepare subPath for {where}") from error


def _write_text(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(mode)
