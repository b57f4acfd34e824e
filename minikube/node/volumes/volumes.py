"""The volumes of pods under pods_dir/<uid>/volumes, and each container's /etc/hosts and termination log."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from minikube.api.authentication_v1 import BoundObjectReference, TokenRequest, TokenRequestSpec
from minikube.api.core_v1 import ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccount, Volume
from minikube.api.core_v1 import Container as Wanted
from minikube.client.base import Client
from minikube.errors import ApiError, NotFound
from minikube.node.env import Facts, field_value, resource_value
from minikube.node.runtime.base import Mount
from minikube.node.spec import ConfigProblem, expand, hostname_of
from minikube.node.volumes.atomic import File, write
from minikube.settings import Settings

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600


class Volumes:
    def __init__(self, client: Client, settings: Settings, node_name: str, host_ips: Sequence[str]) -> None:
        self._client, self._settings = client, settings
        self._node, self._host_ips = node_name, tuple(host_ips)
        self._tokens: dict[tuple[str, str, str], tuple[bytes, datetime]] = {}

    def directory(self, uid: str) -> Path:
        return self._settings.pods_dir / uid

    def volume_path(self, uid: str, name: str) -> Path:
        return self.directory(uid) / "volumes" / name

    def message_path(self, uid: str, container: str, attempt: int) -> Path:
        return self.directory(uid) / "containers" / container / str(attempt)

    async def set_up(self, pod: Pod, ips: Sequence[str]) -> None:
        """Idempotent; also brings new content. Raises ConfigProblem when something needed is missing."""
        for volume in pod.spec.volumes:
            path = self.volume_path(pod.metadata.uid, volume.name)
            if volume.empty_dir is not None:
                memory = volume.empty_dir.medium == "Memory"
                await asyncio.to_thread(_empty_dir, path, memory, _group(pod))
            elif volume.host_path is not None:
                await asyncio.to_thread(_host_path, volume.host_path.path, volume.host_path.type)
            elif (files := await self._files(pod, volume, ips)) is not None:
                await asyncio.to_thread(write, path, files, _group(pod))

    async def _files(self, pod: Pod, volume: Volume, ips: Sequence[str]) -> list[File] | None:
        """None: not a volume of files."""
        if (config := volume.config_map) is not None:
            data = await self._config_map(pod, config.name, bool(config.optional))
            return _picked(
                data, config.items, config.default_mode, f"configmap {config.name}", bool(config.optional)
            )
        if (secret := volume.secret) is not None:
            data = await self._secret(pod, secret.secret_name, bool(secret.optional))
            what = f"secret {secret.secret_name}"
            return _picked(data, secret.items, secret.default_mode, what, bool(secret.optional))
        if (downward := volume.downward_api) is not None:
            return [self._downward(pod, each, downward.default_mode, ips) for each in downward.items]
        projected = volume.projected
        if projected is None:
            return None
        files: list[File] = []
        mode = projected.default_mode
        for source in projected.sources:
            if (map_source := source.config_map) is not None:
                data = await self._config_map(pod, map_source.name, bool(map_source.optional))
                what = f"configmap {map_source.name}"
                files += _picked(data, map_source.items, mode, what, bool(map_source.optional))
            elif (secret_source := source.secret) is not None:
                data = await self._secret(pod, secret_source.name, bool(secret_source.optional))
                what = f"secret {secret_source.name}"
                files += _picked(data, secret_source.items, mode, what, bool(secret_source.optional))
            elif source.downward_api is not None:
                files += [self._downward(pod, each, mode, ips) for each in source.downward_api.items]
            elif (token := source.service_account_token) is not None:
                seconds = token.expiration_seconds or TOKEN_SECONDS
                content = await self._token(pod, token.audience, seconds)
                files.append(File(token.path, content, DEFAULT_MODE if mode is None else mode))
        return files

    async def _config_map(self, pod: Pod, name: str, optional: bool) -> Mapping[str, bytes]:
        try:
            found = await self._client.get(ConfigMap, name, pod.metadata.namespace)
        except NotFound as error:
            if optional:
                return {}
            raise ConfigProblem(f'MountVolume.SetUp failed: configmap "{name}" not found') from error
        text = {key: value.encode() for key, value in found.data.items()}
        return {**text, **{key: base64.b64decode(value) for key, value in found.binary_data.items()}}

    async def _secret(self, pod: Pod, name: str, optional: bool) -> Mapping[str, bytes]:
        try:
            found = await self._client.get(Secret, name, pod.metadata.namespace)
        except NotFound as error:
            if optional:
                return {}
            raise ConfigProblem(f'MountVolume.SetUp failed: secret "{name}" not found') from error
        return {key: base64.b64decode(value) for key, value in found.data.items()}

    def _downward(self, pod: Pod, item: DownwardAPIVolumeFile, mode: int | None, ips: Sequence[str]) -> File:
        facts = Facts(self._node, self._host_ips, tuple(ips))
        text = ""
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, facts)
        elif item.resource_field_ref is not None:
            text = resource_value(pod, pod.spec.containers[0], item.resource_field_ref, facts)
        chosen = item.mode if item.mode is not None else mode
        return File(item.path, text.encode(), DEFAULT_MODE if chosen is None else chosen)

    async def _token(self, pod: Pod, audience: str, seconds: int) -> bytes:
        """Renewed when 80 % of its life is over."""
        key = (pod.metadata.uid, audience, str(seconds))
        held = self._tokens.get(key)
        now = datetime.now(UTC)
        if held is not None and now < held[1]:
            return held[0]
        bound = BoundObjectReference(api_version="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid)
        spec = TokenRequestSpec(
            audiences=(audience,) if audience else (), expiration_seconds=seconds, bound_object_ref=bound
        )
        account = pod.spec.service_account_name or "default"
        try:
            answer = await self._client.create_subresource(
                ServiceAccount, account, pod.metadata.namespace, "token", TokenRequest(spec=spec)
            )
        except ApiError as error:
            raise ConfigProblem(f"MountVolume.SetUp failed: failed to fetch token: {error}") from error
        content = answer.status.token.encode()
        until = answer.status.expiration_timestamp
        life = (until - now) * 0.8 if until is not None else now - now
        self._tokens[key] = (content, now + life)
        return content

    async def mounts(
        self, pod: Pod, wanted: Wanted, attempt: int, ips: Sequence[str], known: Mapping[str, str]
    ) -> Sequence[Mount]:
        """Raises ConfigProblem."""
        uid = pod.metadata.uid
        volumes = {each.name: each for each in pod.spec.volumes}
        found: list[Mount] = []
        for mount in wanted.volume_mounts:
            volume = volumes.get(mount.name)
            if volume is None:
                raise ConfigProblem(f'volume "{mount.name}" not found')
            if volume.image is not None:
                found.append(Mount("", mount.mount_path, read_only=True, image=volume.image.reference))
                continue
            host = Path(volume.host_path.path) if volume.host_path else self.volume_path(uid, volume.name)
            sub = expand(mount.sub_path_expr, known) if mount.sub_path_expr else mount.sub_path
            if sub:
                host = await asyncio.to_thread(_sub_path, host, sub)
            found.append(
                Mount(
                    str(host),
                    mount.mount_path,
                    read_only=bool(mount.read_only),
                    propagation="" if mount.mount_propagation in ("", "None") else mount.mount_propagation,
                )
            )
        taken = {each.container_path for each in found}
        if "/etc/hosts" not in taken:
            hosts = self.directory(uid) / "etc-hosts"
            await asyncio.to_thread(_write_text, hosts, etc_hosts(pod, ips))
            found.append(Mount(str(hosts), "/etc/hosts"))
        message = self.message_path(uid, wanted.name, attempt)
        await asyncio.to_thread(_write_text, message, "")
        message.chmod(0o666)
        found.append(Mount(str(message), wanted.termination_message_path or "/dev/termination-log"))
        return found

    async def tear_down(self, uid: str) -> None:
        for key in [each for each in self._tokens if each[0] == uid]:
            del self._tokens[key]
        await asyncio.to_thread(_tear_down, self.directory(uid))


def _group(pod: Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context is not None else None


def _picked(
    data: Mapping[str, bytes], items: Sequence[KeyToPath], mode: int | None, what: str, optional: bool
) -> list[File]:
    usual = DEFAULT_MODE if mode is None else mode
    if not items:
        return [File(key, value, usual) for key, value in data.items()]
    files = []
    for item in items:
        if item.key in data:
            files.append(File(item.path, data[item.key], usual if item.mode is None else item.mode))
        elif not optional:
            raise ConfigProblem(f"MountVolume.SetUp failed: references non-existent {what} key: {item.key}")
    return files


def etc_hosts(pod: Pod, ips: Sequence[str]) -> str:
    """As the kubelet writes it; with host network the node's own file comes first."""
    lines = ["# Kubernetes-managed hosts file."]
    if pod.spec.host_network:
        with contextlib.suppress(OSError):
            lines = ["# Kubernetes-managed hosts file (host network).", Path("/etc/hosts").read_text().rstrip()]
    else:
        lines += [
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        lines += [f"{ip}\t{hostname_of(pod)}" for ip in ips]
    if pod.spec.host_aliases:
        lines.append("\n# Entries added by HostAliases.")
        lines += ["\t".join((each.ip, *each.hostnames)) for each in pod.spec.host_aliases]
    return "\n".join(lines) + "\n"


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _empty_dir(path: Path, memory: bool, group: int | None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if memory and not os.path.ismount(path):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=True, capture_output=True)
    path.chmod(0o777)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(0o2777)


def _host_path(path: str, type: str) -> None:
    """Raises ConfigProblem when it is not what `type` says."""
    target = Path(path)
    if type == "DirectoryOrCreate":
        target.mkdir(parents=True, exist_ok=True)
    elif type == "FileOrCreate" and not target.exists():
        target.touch()
    checks = {
        "Directory": target.is_dir,
        "DirectoryOrCreate": target.is_dir,
        "File": target.is_file,
        "FileOrCreate": target.is_file,
        "Socket": target.is_socket,
        "CharDevice": target.is_char_device,
        "BlockDevice": target.is_block_device,
    }
    if type in checks and not checks[type]():
        raise ConfigProblem(f"MountVolume.SetUp failed: hostPath type check failed: {path} is not {type}")


def _sub_path(root: Path, sub: str) -> Path:
    """Inside the volume, whatever links say; made as a directory if it is missing. Raises ConfigProblem."""
    if ".." in Path(sub).parts or sub.startswith("/"):
        raise ConfigProblem(f"subPath {sub} must be a relative path without '..'")
    real, top = (root / sub).resolve(), root.resolve()
    if real != top and top not in real.parents:
        raise ConfigProblem(f"subPath {sub} leaves the volume")
    if not real.exists():
        real.mkdir(parents=True)
    return real


def _tear_down(directory: Path) -> None:
    volumes = directory / "volumes"
    if volumes.is_dir():
        for each in volumes.iterdir():
            if os.path.ismount(each):
                subprocess.run(["umount", str(each)], check=False, capture_output=True)
                if os.path.ismount(each):
                    return
    shutil.rmtree(directory, ignore_errors=True)
