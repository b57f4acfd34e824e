"""Images for tests without a registry: docker archives of the static busybox, and of Debian packages."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WEB = "trap exit TERM; echo {version} $(hostname) > /index.html; httpd -f -p 80 -h / & wait"

# Packages that serve installation only count as there already: an image needs none of them.
INSTALLERS = ("adduser", "debconf", "debianutils", "dpkg", "init-system-helpers", "lsb-base", "passwd", "usrmerge")
INSTALLED = """\
Package: {}
Status: install ok installed
Version: 99:1
Architecture: all
Maintainer: x
Description: x

"""


def web_archive(path: Path, version: str) -> Path:
    """`web:<version>` answers HTTP on port 80 with its version and its host name."""
    return busybox_archive(path, f"web:{version}", command=("sh", "-c", WEB.format(version=version)))


def busybox_archive(
    path: Path,
    name: str = "busybox:test",
    *,
    command: Sequence[str] = ("sh",),
    files: Mapping[str, str] | None = None,
) -> Path:
    """A docker-archive tar with /bin/busybox and a symlink for every applet; more `files` by path."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
        for applet in applets.stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        for member, text in (files or {}).items():
            _member(tar, member, text.encode())
    return _archive(path, name, layer.getvalue(), {"Env": ["PATH=/bin"], "Cmd": list(command)})


def debian_archive(path: Path, name: str, packages: Sequence[str], files: Mapping[str, str] | None = None) -> Path:
    """Debian packages with all that they depend on, installed without running their scripts; more `files` by path.

    Made once for each choice of packages, then kept in the host's directory for temporary files.
    """
    digest = hashlib.sha256(json.dumps([name, packages, files]).encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"minikube-test-image-{digest}.tar"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as work:
            layer = _layer(_unpacked(Path(work), packages), files or {})
            _archive(Path(work) / "image.tar", name, layer, {"Env": ["PATH=/usr/sbin:/usr/bin"], "Cmd": ["sh"]})
            os.replace(Path(work) / "image.tar", kept)
    return Path(shutil.copyfile(kept, path))


def _unpacked(work: Path, packages: Sequence[str]) -> Path:
    """A directory with the files of the packages: downloads what apt would install on an empty machine."""
    status, root = work / "status", work / "root"
    status.write_text("".join(INSTALLED.format(name) for name in INSTALLERS))
    quiet: Any = {"check": True, "cwd": work, "capture_output": True, "text": True}
    plan = ("apt-get", "-s", "-o", f"Dir::State::status={status}", "--no-install-recommends", "install", *packages)
    lines = subprocess.run(plan, **quiet).stdout.splitlines()
    wanted = [line.split()[1] for line in lines if line.startswith("Inst ")]
    subprocess.run(("apt-get", "-q", "download", *wanted), **quiet)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in sorted(work.glob("*.deb")):
        files = subprocess.run(("dpkg-deb", "--fsys-tarfile", deb), check=True, capture_output=True).stdout
        subprocess.run(("tar", "-x", "--keep-directory-symlink", "-C", root), check=True, input=files)
    return root


def _layer(root: Path, files: Mapping[str, str]) -> bytes:
    """A tar of the directory, owners kept, without documentation."""
    for name in ("doc", "man", "locale"):
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for entry in sorted(root.iterdir()):
            tar.add(entry, entry.name)
    return layer.getvalue()


def _archive(path: Path, name: str, layer: bytes, run: Mapping[str, Any]) -> Path:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": dict(run),
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, mode="w") as tar:
        for member, body in (
            ("config.json", json.dumps(config).encode()),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _member(tar, member, body)
    return path


def _member(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    tar.addfile(info, io.BytesIO(body))
