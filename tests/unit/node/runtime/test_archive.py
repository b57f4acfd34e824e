"""Image archives: what is read from docker and OCI tars, however they are compressed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from minikube.node.runtime import archive
from minikube.node.runtime.archive import OCI_MANIFEST, full_name
from minikube.node.runtime.base import RuntimeFault
from minikube.node.runtime.demo import demo_archive


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            out.addfile(info, io.BytesIO(body))
    return path


def docker(path: Path) -> Path:
    described = [{"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["l.tar"]}]
    return tar(path, {"c.json": b"{}", "l.tar": b"layer", "manifest.json": json.dumps(described).encode()})


def blob(body: bytes, kind: str) -> tuple[dict[str, object], str, bytes]:
    digest = hashlib.sha256(body).hexdigest()
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(body)}, f"blobs/sha256/{digest}", body


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("me/app:1", "docker.io/me/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("reg.example:5000/a/b:v", "reg.example:5000/a/b:v"),
        ("a@sha256:00", "docker.io/library/a@sha256:00"),
    ],
)
def test_a_short_name_means_docker_hub(name: str, expected: str) -> None:
    assert full_name(name) == expected


def test_a_docker_archive_has_names_config_and_layers(tmp_path: Path) -> None:
    with archive.opened(str(docker(tmp_path / "a.tar"))) as [bundle]:
        assert bundle.names == ("docker.io/library/app:1",)
        config, layer = bundle.parts
        assert (layer.size, layer.open().read()) == (5, b"layer")
        assert json.load(bundle.manifest.open())["config"]["digest"] == config.digest
        assert bundle.labels()["containerd.io/gc.ref.content.l.0"] == layer.digest


def test_compressed_archives_are_the_same(tmp_path: Path) -> None:
    plain = docker(tmp_path / "a.tar")
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with archive.opened(str(packed)) as [bundle]:
        assert bundle.parts[1].open().read() == b"layer"
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", str(plain)], check=True)
        with archive.opened(str(plain) + ".zst") as [bundle]:
            assert bundle.names == ("docker.io/library/app:1",)


def test_an_oci_archive_keeps_its_manifest_and_an_index_leads_to_this_machine(tmp_path: Path) -> None:
    config, layer = blob(b"{}", "application/vnd.oci.image.config.v1+json"), blob(b"l", "application/x-layer")
    manifest = blob(json.dumps({"config": config[0], "layers": [layer[0]]}).encode(), OCI_MANIFEST)
    choices = [
        {**manifest[0], "digest": "sha256:absent", "platform": {"os": "linux", "architecture": "s390x"}},
        *({**manifest[0], "platform": {"os": "linux", "architecture": name}} for name in ("amd64", "arm64")),
    ]
    index = blob(json.dumps({"manifests": choices}).encode(), archive.INDEXES[0])
    top = {"manifests": [{**index[0], "annotations": {"io.containerd.image.name": "r.example/app:2"}}]}
    members = {path: body for _, path, body in (config, layer, manifest, index)}
    path = tar(tmp_path / "oci.tar", {**members, "index.json": json.dumps(top).encode()})
    with archive.opened(str(path)) as [bundle]:
        assert bundle.names == ("r.example/app:2",)
        assert bundle.manifest.digest == manifest[0]["digest"]


def test_content_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    described = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "0" * 64}
    manifest = {"config": described, "layers": []}
    lie = blob(json.dumps(manifest).encode(), OCI_MANIFEST)
    members = {lie[1]: lie[2], "blobs/sha256/" + "0" * 64: b"other"}
    path = tar(tmp_path / "x.tar", {**members, "index.json": json.dumps({"manifests": [lie[0]]}).encode()})
    with pytest.raises(RuntimeFault, match="has other content"), archive.opened(str(path)):
        pass


def test_something_else_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(RuntimeFault, match=r"notes\.txt: not an image archive"), archive.opened(str(path)):
        pass


def test_the_demo_image_has_two_versions_over_one_layer(tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_text("#!/bin/sh\necho busybox\necho httpd\n")
    busybox.chmod(0o755)
    demo_archive(busybox, tmp_path / "demo.tar")
    with archive.opened(str(tmp_path / "demo.tar")) as bundles:
        assert [bundle.names for bundle in bundles] == [
            ("docker.io/minikube/demo:1",),
            ("docker.io/minikube/demo:2",),
        ]
        assert bundles[0].parts[1].digest == bundles[1].parts[1].digest
        with tarfile.open(fileobj=bundles[0].parts[1].open()) as layer:
            assert layer.getmember("bin/httpd").linkname == "busybox"
