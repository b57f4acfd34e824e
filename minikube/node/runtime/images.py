"""containerd's own image service, in CRI's namespace: images in from bundles, out as archives, names removed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

import grpc.aio

from minikube.node.runtime.archive import CHUNK, INDEXES, Blob, Bundle, full_name
from minikube.node.runtime.base import NotFound
from minikube.node.runtime.channel import AlreadyExists, Native
from minikube.node.runtime.pause import PAUSE_IMAGE
from minikube.node.runtime.wire import decode, encode, entry


class ImageStore:
    """The native Content, Images and Leases services. Raises Unavailable, RuntimeFault."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._native = Native(channel)
        self._call = self._native.call

    async def add(self, bundle: Bundle) -> None:
        """Idempotent."""
        lease = "import-" + uuid.uuid4().hex
        await self._call("leases", "Leases/Create", encode((1, lease)))
        try:
            for part in bundle.parts:
                await self._write(part, lease, {})
            await self._write(bundle.manifest, lease, bundle.labels())
            for name in bundle.names:
                await self._name(name, bundle.manifest)
        finally:
            await self._call("leases", "Leases/Delete", encode((1, lease)))

    async def collect_garbage(self) -> None:
        """containerd deletes what nothing refers to any more only now and then; this waits for it to do so now: the
        end of a lease that asks for that."""
        lease = "collect-" + uuid.uuid4().hex
        await self._call("leases", "Leases/Create", encode((1, lease)))
        await self._call("leases", "Leases/Delete", encode((1, lease), (2, 1)))

    async def rename(self, name: str, other: str) -> None:
        """An image that was just pulled by `name` has `other` instead, also beside its digest. Both are full names.
        Raises NotFound."""
        target = await self._descriptor(name)
        digest = _fields(target)[2].decode()
        beside = f"{_repository(name)}@{digest}"
        names = (*((other,) if "@" not in other else ()), f"{_repository(other)}@{digest}")
        for new in names:
            await self._put(new, target)
        for old in dict.fromkeys((name, beside)):
            with contextlib.suppress(NotFound):
                await self._call("images", "Images/Delete", encode((1, old)))

    async def _name(self, name: str, manifest: Blob) -> None:
        await self._put(name, encode((1, manifest.kind), (2, manifest.digest), (3, manifest.size)))

    async def _put(self, name: str, target: bytes) -> None:
        """`target` is a descriptor."""
        labels = [entry(2, "io.cri-containerd.image", "managed")]
        if name == PAUSE_IMAGE:
            labels.append(entry(2, "io.cri-containerd.pinned", "pinned"))
        image = encode((1, encode((1, name), *labels, (3, target))))
        try:
            await self._call("images", "Images/Create", image)
        except AlreadyExists:
            await self._call("images", "Images/Update", image)

    async def _write(self, blob: Blob, lease: str, labels: dict[str, str]) -> None:
        with contextlib.suppress(NotFound):
            await self._call("content", "Content/Info", encode((1, blob.digest)))
            return
        head = ((2, f"{lease}-{blob.digest}"), (3, blob.size), (4, blob.digest))

        async def requests() -> AsyncIterator[bytes]:
            with blob.open() as stream:
                at = 0
                while chunk := await asyncio.to_thread(stream.read, CHUNK):
                    yield encode((1, 1), *head, (5, at), (6, chunk))
                    at += len(chunk)
            yield encode((1, 2), *head, (5, at), *(entry(7, key, value) for key, value in labels.items()))

        with contextlib.suppress(AlreadyExists):
            await self._native.send("content", "Content/Write", requests(), lease=lease)

    async def described(self, name: str) -> tuple[Any, Any]:
        """Manifest and configuration of an image, as this machine has it. Raises NotFound."""
        manifest = await self._manifest_of(name)
        config = b"".join([chunk async for chunk in self._read(manifest["config"]["digest"])])
        return manifest, json.loads(config)

    async def save(self, name: str, path: Path) -> None:
        """A docker-archive of an image as this machine has it. Raises NotFound."""
        manifest = await self._manifest_of(name)
        config = manifest["config"]["digest"]
        members = {config: config.partition(":")[2] + ".json"}
        layers = [layer["digest"] for layer in manifest["layers"]]
        members |= {digest: digest.partition(":")[2] + ".tar" for digest in layers}
        described = {
            "Config": members[config],
            "RepoTags": [full_name(name)],
            "Layers": [members[digest] for digest in layers],
        }
        with path.open("wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for digest, member in members.items():
                await self._copy(digest, member, tar, file)
            _member(tar, "manifest.json", json.dumps([described]).encode())

    async def _descriptor(self, name: str) -> bytes:
        """What this name stands for. Raises NotFound."""
        return _fields(_fields(await self._call("images", "Images/Get", encode((1, name))))[1])[3]

    async def _manifest_of(self, name: str) -> Any:
        descriptor = _fields(await self._descriptor(full_name(name)))
        return await self._manifest(descriptor[1].decode(), descriptor[2].decode())

    async def _manifest(self, kind: str, digest: str) -> Any:
        """Of an index, the first manifest whose content is here."""
        found = json.loads(b"".join([chunk async for chunk in self._read(digest)]))
        if kind not in INDEXES:
            return found
        for item in found["manifests"]:
            with contextlib.suppress(NotFound):
                return await self._manifest(item["mediaType"], item["digest"])
        raise NotFound(f"no manifest of {digest} is on this machine")

    async def _read(self, digest: str) -> AsyncIterator[bytes]:
        async for answer in self._native.stream("content", "Content/Read", encode((1, digest))):
            yield _fields(answer).get(2, b"")

    async def _copy(self, digest: str, member: str, tar: tarfile.TarFile, file: IO[bytes]) -> None:
        """A blob as a member, without holding it in memory: header, content, padding."""
        answer = await self._call("content", "Content/Info", encode((1, digest)))
        info = tarfile.TarInfo(member)
        info.size = next(int(value) for number, value in decode(_fields(answer)[1]) if number == 2)
        header = info.tobuf(tarfile.GNU_FORMAT)
        file.write(header)
        async for chunk in self._read(digest):
            file.write(chunk)
        padding = -info.size % tarfile.BLOCKSIZE
        file.write(b"\0" * padding)
        tar.offset += len(header) + info.size + padding


def _repository(name: str) -> str:
    """Of a full name, without tag and digest."""
    plain = name.partition("@")[0]
    return plain.rpartition(":")[0] if ":" in plain.rpartition("/")[2] else plain


def _member(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    tar.addfile(info, io.BytesIO(body))


def _fields(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a message by number."""
    return {number: value for number, value in decode(message) if isinstance(value, bytes)}
