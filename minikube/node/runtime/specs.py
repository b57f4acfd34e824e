"""The OCI specifications of containers, as containerd keeps them: read, and changed before a container starts, for
what CRI has no words for. Field numbers: containerd api/services/containers/v1/containers.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio
import msgspec

from minikube.node.runtime.base import ContainerSpec, User
from minikube.node.runtime.channel import Native
from minikube.node.runtime.wire import decode, encode

HARMLESS = ("noexec", "nosuid", "nodev")
"""How a tree is mounted that is only to be read."""


class Specs:
    """Raises NotFound, Unavailable, RuntimeFault."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._native = Native(channel)

    async def get(self, container: str) -> dict[str, Any]:
        return (await self._read(container))[1]

    async def user(self, container: str) -> User:
        """Whom its first process is started as."""
        found = (await self.get(container))["process"]["user"]
        return User(found.get("uid", 0), found.get("gid", 0), tuple(found.get("additionalGids", ())))

    async def change(self, container: str, edit: Callable[[dict[str, Any]], None]) -> None:
        """Of a container that has not started."""
        kind, spec = await self._read(container)
        edit(spec)
        body = encode((1, kind), (2, msgspec.json.encode(spec)))
        await self._call("Update", encode((1, encode((1, container), (5, body))), (2, encode((1, "spec")))))

    async def _read(self, container: str) -> tuple[bytes, dict[str, Any]]:
        """Its type, and itself."""
        found = _field(_field(await self._call("Get", encode((1, container))), 1), 5)
        return _field(found, 1), msgspec.json.decode(_field(found, 2))

    async def _call(self, method: str, request: bytes) -> bytes:
        return await self._native.call("containers", f"Containers/{method}", request, timeout=30)


def changes(wanted: ContainerSpec) -> Callable[[dict[str, Any]], None] | None:
    """What an older CRI leaves out of what is wanted: mounts in which nothing can be run; Strict groups, without
    those of the image. None: nothing."""
    harmless = {each.container_path for each in wanted.mounts if each.no_exec}
    strict = wanted.security.supplemental_groups_policy == "Strict"
    if not harmless and not strict:
        return None

    def edit(spec: dict[str, Any]) -> None:
        for mount in spec.get("mounts", ()):
            if mount["destination"] in harmless:
                mount["options"] = [*mount.get("options", ()), *HARMLESS]
        if strict:
            user = spec["process"]["user"]
            user["additionalGids"] = list(dict.fromkeys((user.get("gid", 0), *wanted.security.supplemental_groups)))

    return edit


def _field(message: bytes, number: int) -> bytes:
    found = dict(decode(message)).get(number, b"")
    assert isinstance(found, bytes)
    return found
