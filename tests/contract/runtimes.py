"""Runtimes for contract suites: a containerd of its own, gone afterwards with all it made."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from minikube.node.host.cgroups import Cgroups
from minikube.node.host.mounts import unmount_below
from minikube.node.runtime.base import Runtime, RuntimeFault
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
            await _clear(runtime)
            await runtime.close()
            await containerd.uninstall()
            unmount_below(directory)  # of a sandbox whose removal was under way
            Cgroups(CGROUP).remove(CGROUP)


async def _clear(runtime: Runtime) -> None:
    """An agent that was killed may still have calls on their way: then once more."""
    for _ in range(20):
        try:
            for sandbox in await runtime.sandboxes():
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
        except RuntimeFault:
            await asyncio.sleep(0.2)
        else:
            return
