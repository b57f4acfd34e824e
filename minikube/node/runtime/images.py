"""Images into containerd without a registry: docker-archive and OCI tars through its native content API."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio

from minikube.node.runtime import pause
from minikube.node.runtime.base import RuntimeFault, Unavailable
from minikube.node.runtime.wire import encode, entry

PAUSE_IMAGE = "docker.io/minikube/pause:1"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_CHUNK = 1 << 20


class Blob:
    """Content with its digest, read from memory."""

    def __init__(self, body: bytes, kind: str) -> None:
        self.body = body
        self.kind = kind
        self.digest = "sha256:" + hashlib.sha256(body).hexdigest()

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.body)}


class Bundle:
    """One image: its names and blobs, the manifest last."""

    def __init__(self, names: tuple[str, ...], config: bytes, layers: list[bytes]) -> None:
        self.names = names
        parts = [Blob(config, _CONFIG)]
        for layer in layers:
            parts.append(Blob(layer, _LAYER + (".gzip" if layer[:2] == b"\x1f\x8b" else "")))
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": parts[0].descriptor,
            "layers": [part.descriptor for part in parts[1:]],
        }
        self.manifest = Blob(json.dumps(manifest).encode(), _MANIFEST)
        self.parts = parts

    def labels(self) -> dict[str, str]:
        found = {"containerd.io/gc.ref.content.config": self.parts[0].digest}
        for index, part in enumerate(self.parts[1:]):
            found[f"containerd.io/gc.ref.content.l.{index}"] = part.digest
        return found


def full_name(name: str) -> str:
    """`busybox` is docker.io/library/busybox:latest, as docker's reference grammar has it."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = "docker.io/library/" + name
    elif "." not in first and ":" not in first and first != "localhost":
        name = "docker.io/" + name
    return name if "@" in name or ":" in name.rpartition("/")[2] else name + ":latest"


def read_archive(path: str) -> list[Bundle]:
    """What an archive holds. Blocking. Raises RuntimeFault for what is not an image archive."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(4)
        if head == b"\x28\xb5\x2f\xfd":
            raise RuntimeFault(f"{path}: zstd is not supported, decompress it first")
        opened: Any = gzip.open(path) if head[:2] == b"\x1f\x8b" else open(path, "rb")  # noqa: SIM115
        with opened, tarfile.open(fileobj=opened) as tar:
            return list(_bundles(tar))
    except (tarfile.TarError, OSError, KeyError, ValueError) as error:
        raise RuntimeFault(f"{path}: not an image archive: {error}") from error


def _bundles(tar: tarfile.TarFile) -> Iterator[Bundle]:
    def read(name: str) -> bytes:
        stream = tar.extractfile(name)
        if stream is None:
            raise ValueError(f"{name} is not a file")
        return stream.read()

    if "manifest.json" in tar.getnames():
        for item in json.loads(read("manifest.json")):
            names = tuple(full_name(name) for name in item.get("RepoTags") or ())
            yield Bundle(names, read(item["Config"]), [read(layer) for layer in item["Layers"]])
        return
    for item in json.loads(read("index.json"))["manifests"]:
        manifest = json.loads(read("blobs/" + item["digest"].replace(":", "/")))
        notes = item.get("annotations") or {}
        name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")
        layers = [read("blobs/" + layer["digest"].replace(":", "/")) for layer in manifest["layers"]]
        config = read("blobs/" + manifest["config"]["digest"].replace(":", "/"))
        yield Bundle((full_name(name),) if name else (), config, layers)


def pause_bundle(machine: str = "") -> Bundle:
    """The sandbox image of this machine."""
    machine = machine or os.uname().machine
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo("pause")
        body = pause.elf(machine)
        info.size, info.mode = len(body), 0o755
        tar.addfile(info, io.BytesIO(body))
    diff = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": pause.architecture(machine),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
    }
    return Bundle((PAUSE_IMAGE,), json.dumps(config).encode(), [layer.getvalue()])


class ImageStore:
    """containerd's native Content, Images and Leases services in the namespace of CRI."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def add(self, bundle: Bundle) -> None:
        """Idempotent. Raises RuntimeFault, Unavailable."""
        lease = "import-" + uuid.uuid4().hex
        try:
            await self._call("leases", "Leases/Create", encode((1, lease)))
            for part in bundle.parts:
                await self._write(part, lease, {})
            await self._write(bundle.manifest, lease, bundle.labels())
            target = encode((1, _MANIFEST), (2, bundle.manifest.digest), (3, len(bundle.manifest.body)))
            for name in bundle.names:
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
            await self._call("leases", "Leases/Delete", encode((1, lease)))
        except grpc.aio.AioRpcError as error:
            kind = Unavailable if error.code() is grpc.StatusCode.UNAVAILABLE else RuntimeFault
            raise kind(error.details() or str(error.code())) from error

    async def _call(self, service: str, method: str, request: bytes) -> bytes:
        call = self._channel.unary_unary(f"/containerd.services.{service}.v1.{method}")
        answer: bytes = await call(request, metadata=(("containerd-namespace", "k8s.io"),), timeout=60)
        return answer

    async def _write(self, blob: Blob, lease: str, labels: dict[str, str]) -> None:
        try:
            await self._call("content", "Content/Info", encode((1, blob.digest)))
            return
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        size = len(blob.body)
        head = ((2, f"{lease}-{blob.digest}"), (3, size), (4, blob.digest))

        async def requests() -> AsyncIterator[bytes]:
            for at in range(0, size, _CHUNK):
                yield encode((1, 1), *head, (5, at), (6, blob.body[at : at + _CHUNK]))
            yield encode((1, 2), *head, (5, size), *(entry(7, key, value) for key, value in labels.items()))

        call = self._channel.stream_stream("/containerd.services.content.v1.Content/Write")
        metadata = (("containerd-namespace", "k8s.io"), ("containerd-lease", lease))
        try:
            async for _ in call(requests(), metadata=metadata):
                pass
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
