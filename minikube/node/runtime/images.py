"""containerd's own image service, in CRI's namespace: images in from bundles, out as archives, names removed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any

import grpc
import grpc.aio

from minikube.node.runtime.archive import CHUNK, INDEXES, Blob, Bundle, full_name
from minikube.node.runtime.base import NotFound, RuntimeFault, Unavailable
from minikube.node.runtime.pause import PAUSE_IMAGE
from minikube.node.runtime.wire import decode, encode, entry

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 1 << 26),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
"""containerd is on this machine and starts in a moment: ask again soon."""
NAMESPACE = ("containerd-namespace", "k8s.io")


class ImageStore:
    """The native Content, Images and Leases services."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def add(self, bundle: Bundle) -> None:
        """Idempotent. Raises RuntimeFault, Unavailable."""
        lease = "import-" + uuid.uuid4().hex
        with translated():
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
        end of a lease that asks for that. Raises RuntimeFault, Unavailable."""
        lease = "collect-" + uuid.uuid4().hex
        with translated():
            await self._call("leases", "Leases/Create", encode((1, lease)))
            await self._call("leases", "Leases/Delete", encode((1, lease), (2, 1)))

    async def rename(self, name: str, other: str) -> None:
        """An image that was just pulled by `name` has `other` instead, also beside its digest. Both are full names.
        Raises NotFound, RuntimeFault."""
        with translated():
            answer = await self._call("images", "Images/Get", encode((1, name)))
            target = _fields(_fields(answer)[1])[3]
            digest = _fields(target)[2].decode()
            beside = f"{_repository(name)}@{digest}"
            names = (*((other,) if "@" not in other else ()), f"{_repository(other)}@{digest}")
            for new in names:
                await self._put(new, target)
            for old in dict.fromkeys((name, beside)):
                with contextlib.suppress(NotFound), translated():
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
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            await self._call("images", "Images/Update", image)

    async def _call(self, service: str, method: str, request: bytes) -> bytes:
        call = self._channel.unary_unary(f"/containerd.services.{service}.v1.{method}")
        answer: bytes = await call(request, metadata=(NAMESPACE,), timeout=60)
        return answer

    async def _write(self, blob: Blob, lease: str, labels: dict[str, str]) -> None:
        try:
            await self._call("content", "Content/Info", encode((1, blob.digest)))
            return
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        head = ((2, f"{lease}-{blob.digest}"), (3, blob.size), (4, blob.digest))

        async def requests() -> AsyncIterator[bytes]:
            with blob.open() as stream:
                at = 0
                while chunk := await asyncio.to_thread(stream.read, CHUNK):
                    yield encode((1, 1), *head, (5, at), (6, chunk))
                    at += len(chunk)
            yield encode((1, 2), *head, (5, at), *(entry(7, key, value) for key, value in labels.items()))

        call = self._channel.stream_stream("/containerd.services.content.v1.Content/Write")
        try:
            async for _ in call(requests(), metadata=(NAMESPACE, ("containerd-lease", lease))):
                pass
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    async def described(self, name: str) -> tuple[Any, Any]:
        """Manifest and configuration of an image, as this machine has it. Raises NotFound, RuntimeFault."""
        with translated():
            answer = await self._call("images", "Images/Get", encode((1, full_name(name))))
            descriptor = _fields(_fields(_fields(answer)[1])[3])
            manifest = await self._manifest(descriptor[1].decode(), descriptor[2].decode())
            config = b"".join([chunk async for chunk in self._read(manifest["config"]["digest"])])
            return manifest, json.loads(config)

    async def save(self, name: str, path: Path) -> None:
        """A docker-archive of an image as this machine has it. Raises NotFound, RuntimeFault."""
        with translated():
            answer = await self._call("images", "Images/Get", encode((1, full_name(name))))
            descriptor = _fields(_fields(_fields(answer)[1])[3])
            manifest = await self._manifest(descriptor[1].decode(), descriptor[2].decode())
            config = manifest["config"]["digest"]
            layers = [layer["digest"] for layer in manifest["layers"]]
            with path.open("wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
                names = {digest: digest.partition(":")[2] for digest in (config, *layers)}
                described = [
                    {
                        "Config": names[config] + ".json",
                        "RepoTags": [full_name(name)],
                        "Layers": [names[layer] + ".tar" for layer in layers],
                    }
                ]
                for member, digest in (
                    (names[config] + ".json", config),
                    *((names[d] + ".tar", d) for d in layers),
                ):
                    await self._copy(digest, member, tar, file)
                _member(tar, "manifest.json", json.dumps(described).encode())

    async def _manifest(self, kind: str, digest: str) -> Any:
        """Of an index, the first manifest whose content is here."""
        found = json.loads(b"".join([chunk async for chunk in self._read(digest)]))
        if kind not in INDEXES:
            return found
        for item in found["manifests"]:
            try:
                return await self._manifest(item["mediaType"], item["digest"])
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
        raise NotFound(f"no manifest of {digest} is on this machine")

    async def _read(self, digest: str) -> AsyncIterator[bytes]:
        call = self._channel.unary_stream("/containerd.services.content.v1.Content/Read")
        async for answer in call(encode((1, digest)), metadata=(NAMESPACE,)):
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


@contextlib.contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        kinds = {grpc.StatusCode.UNAVAILABLE: Unavailable, grpc.StatusCode.NOT_FOUND: NotFound}
        raise kinds.get(error.code(), RuntimeFault)(error.details() or str(error.code())) from error
