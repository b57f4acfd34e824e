"""Images that the program makes itself, so that a cluster without a registry has something to run.

`minikube/demo:1` and `:2` answer HTTP on port 80 with their version and the pod's name; they hold a static busybox.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from minikube.node.runtime import pause
from minikube.node.runtime.archive import DOCKER_CONFIG, DOCKER_LAYER, Blob, Bundle

DEMO_IMAGE = "docker.io/minikube/demo"
DEMO_VERSIONS = ("1", "2")
_SERVE = """
mkdir -p /www
echo "$(hostname): version $VERSION" > /www/index.html
echo "version $VERSION answers on port 80"
httpd -f -p 80 -h /www &
trap "kill $!" TERM
wait
"""


def pause_bundle(machine: str = "") -> Bundle:
    """The sandbox image of this machine."""
    machine = machine or os.uname().machine
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "pause", pause.elf(machine), 0o755)
    return Bundle((pause.PAUSE_IMAGE,), *_image(layer.getvalue(), {"Entrypoint": ["/pause"]}, machine))


def demo_archive(busybox: Path, path: Path) -> None:
    """A docker-archive with every version of the demo image. Blocking. Raises OSError."""
    layer = _busybox_layer(busybox)
    entries, members = [], {"layer.tar": layer}
    for version in DEMO_VERSIONS:
        command = {
            "Cmd": ["sh", "-c", _SERVE],
            "Env": ["PATH=/bin", f"VERSION={version}"],
            "ExposedPorts": {"80/tcp": {}},
        }
        config, _ = _image(layer, command, os.uname().machine)
        with config.open() as stream:
            members[f"{version}.json"] = stream.read()
        entries.append(
            {"Config": f"{version}.json", "RepoTags": [f"{DEMO_IMAGE}:{version}"], "Layers": ["layer.tar"]}
        )
    members["manifest.json"] = json.dumps(entries).encode()
    fresh = path.with_name(f".{path.name}.new")
    with tarfile.open(fresh, "w") as tar:
        for name, body in members.items():
            _add(tar, name, body, 0o644)
    fresh.replace(path)


def _busybox_layer(busybox: Path) -> bytes:
    applets = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "bin/busybox", busybox.read_bytes(), 0o755)
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        for name, mode in (("tmp", 0o1777), ("etc", 0o755)):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            tar.addfile(directory)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\n", 0o644)
    return layer.getvalue()


def _image(layer: bytes, run: dict[str, Any], machine: str) -> tuple[Blob, list[Blob]]:
    """Config and layers of an image with one layer."""
    config = {
        "architecture": pause.architecture(machine),
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    return Blob.of(json.dumps(config).encode(), DOCKER_CONFIG), [Blob.of(layer, DOCKER_LAYER)]


def _add(tar: tarfile.TarFile, name: str, body: bytes, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(body), mode
    tar.addfile(info, io.BytesIO(body))
