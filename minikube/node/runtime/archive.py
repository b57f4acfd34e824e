"""Image archives: docker-archive and OCI tars, plain, gzip or zstd, as bundles of blobs. Blocking."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from minikube.node.runtime.base import RuntimeFault
from minikube.node.runtime.pause import architecture

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
NAME_NOTES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
CHUNK = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

Opener = Callable[[], IO[bytes]]


class Blob:
    """Content with its digest and size; `open` reads it from its start, as often as needed."""

    def __init__(self, opener: Opener, kind: str) -> None:
        self.open, self.kind = opener, kind
        hashed, self.size = hashlib.sha256(), 0
        with opener() as stream:
            while chunk := stream.read(CHUNK):
                hashed.update(chunk)
                self.size += len(chunk)
        self.digest = "sha256:" + hashed.hexdigest()

    @classmethod
    def of(cls, body: bytes, kind: str) -> Blob:
        return cls(lambda: io.BytesIO(body), kind)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.kind, "digest": self.digest, "size": self.size}


class Bundle:
    """One image: its names, config and layers, and the manifest that ties them together."""

    def __init__(
        self, names: Sequence[str], config: Blob, layers: Sequence[Blob], manifest: Blob | None = None
    ) -> None:
        self.names = tuple(names)
        self.parts = (config, *layers)
        if manifest is None:
            body = {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST,
                "config": config.descriptor,
                "layers": [layer.descriptor for layer in layers],
            }
            manifest = Blob.of(json.dumps(body).encode(), DOCKER_MANIFEST)
        self.manifest = manifest

    def labels(self) -> dict[str, str]:
        """What containerd's garbage collector follows from the manifest."""
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


@contextlib.contextmanager
def opened(path: str) -> Iterator[list[Bundle]]:
    """What an archive holds, readable within the context. Raises RuntimeFault for what is not an image archive."""
    try:
        with _decompressed(path) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            yield list(_bundles(tar))
    except (tarfile.TarError, OSError, KeyError, ValueError, EOFError) as error:
        raise RuntimeFault(f"{path}: not an image archive: {error}") from error


@contextlib.contextmanager
def _decompressed(path: str) -> Iterator[IO[bytes]]:
    """A plain, seekable tar: compressed ones are unpacked beside the archive, into a file without a name."""
    with open(path, "rb") as raw:
        head = raw.read(4)
        raw.seek(0)
        if head[:2] != _GZIP and head != _ZSTD:
            yield raw
            return
        with tempfile.TemporaryFile(dir=os.path.dirname(path) or ".") as plain:
            if head == _ZSTD:
                _unpack_zstd(path, plain)
            else:
                with gzip.open(raw) as unpacked:
                    shutil.copyfileobj(unpacked, plain, CHUNK)
            plain.seek(0)
            yield plain


def _unpack_zstd(path: str, plain: IO[bytes]) -> None:
    program = shutil.which("zstd")
    if program is None:
        raise OSError("it is compressed with zstd, which is not installed: apt-get install zstd")
    done = subprocess.run([program, "-dcq", path], stdout=plain, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip())


class _Reader:
    """Members of the archive by name."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.names = frozenset(name.removeprefix("./") for name in tar.getnames())
        self._dotted = any(name.startswith("./") for name in tar.getnames())

    def opener(self, name: str) -> Opener:
        def open_member() -> IO[bytes]:
            stream = self._tar.extractfile(f"./{name}" if self._dotted else name)
            if stream is None:
                raise ValueError(f"{name} is not a file")
            return stream

        return open_member

    def bytes(self, name: str) -> bytes:
        with self.opener(name)() as stream:
            return stream.read()

    def json(self, name: str) -> Any:
        return json.loads(self.bytes(name))

    def blob(self, described: Mapping[str, Any]) -> Blob:
        blob = Blob(self.opener(_path(described)), described["mediaType"])
        if blob.digest != described["digest"]:
            raise ValueError(f"{described['digest']} has other content")
        return blob


def _path(described: Mapping[str, Any]) -> str:
    return "blobs/" + str(described["digest"]).replace(":", "/")


def _bundles(tar: tarfile.TarFile) -> Iterator[Bundle]:
    reader = _Reader(tar)
    if "manifest.json" in reader.names:
        for item in reader.json("manifest.json"):
            layers = [_docker_layer(reader.opener(name)) for name in item["Layers"]]
            names = [full_name(name) for name in item.get("RepoTags") or ()]
            yield Bundle(names, Blob(reader.opener(item["Config"]), DOCKER_CONFIG), layers)
        return
    for item in reader.json("index.json")["manifests"]:
        notes = item.get("annotations") or {}
        name = next((notes[key] for key in NAME_NOTES if notes.get(key)), "")
        described = _of_this_machine(reader, item)
        if described is None:
            continue
        manifest = reader.json(_path(described))
        yield Bundle(
            (full_name(name),) if name else (),
            reader.blob({"mediaType": "application/vnd.oci.image.config.v1+json", **manifest["config"]}),
            [reader.blob(layer) for layer in manifest["layers"]],
            reader.blob({"mediaType": OCI_MANIFEST, **described}),
        )


def _docker_layer(opener: Opener) -> Blob:
    with opener() as stream:
        return Blob(opener, DOCKER_LAYER + (".gzip" if stream.read(2) == _GZIP else ""))


def _of_this_machine(reader: _Reader, described: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The manifest itself, or the one for this machine out of an index; None: it holds none that is here."""
    if described.get("mediaType") not in INDEXES:
        return described
    for item in reader.json(_path(described))["manifests"]:
        platform = item.get("platform") or {}
        here = platform.get("os", "linux") == "linux" and platform.get("architecture") == architecture(
            os.uname().machine
        )
        if here and _path(item) in reader.names:
            return _of_this_machine(reader, item)
    return None
