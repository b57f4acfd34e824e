"""Runtimes for contract suites: a containerd of its own, gone afterwards with all it made."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from minikube.node.cgroups import Cgroups
from minikube.node.runtime.base import Runtime
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.settings import Settings
from tests.images import busybox_archive

IMAGE = "docker.io/library/busybox:test"
CGROUP = f"/minikube-contract-{os.getpid()}"


@asynccontextmanager
async def real() -> AsyncIterator[Runtime]:
    with tempfile.TemporaryDirectory(prefix="minikube-") as name:
        directory = Path(name)
        containerd = Containerd(Settings(data_dir=directory / "data", run_dir=directory / "run"))
        await containerd.start()
        runtime = CriRuntime(containerd.endpoint)
        try:
            await runtime.import_archive(str(busybox_archive(directory / "busybox.tar")))
            yield runtime
        finally:
            for sandbox in await runtime.sandboxes():
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
            await runtime.close()
            await containerd.uninstall()
            Cgroups(CGROUP).remove(CGROUP)
