"""The CRI runtime over a real containerd of its own; everything it makes is gone afterwards."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from minikube.node.runtime.base import ContainerSpec, NotFound, SandboxSpec, SecurityContext, State
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.settings import Settings
from tests.images import busybox_archive

pytestmark = pytest.mark.node
CGROUP = f"/minikube-test-{os.getpid()}"


@pytest_asyncio.fixture
async def runtime() -> AsyncIterator[CriRuntime]:
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
            remove_cgroups()


def remove_cgroups() -> None:
    for parent in Path("/sys/fs/cgroup").glob("*" + CGROUP):
        for inner in (*parent.glob("*/"), parent):
            inner.rmdir()


async def test_a_container_runs_says_something_and_is_removed(runtime: CriRuntime, tmp_path: Path) -> None:
    uid = str(uuid.uuid4())
    began = time.monotonic()
    sandbox = await runtime.run_sandbox(
        SandboxSpec(
            pod_uid=uid,
            name="p",
            namespace="default",
            hostname="p",
            log_directory=str(tmp_path),
            cgroup_parent=CGROUP,
            labels={"io.kubernetes.pod.uid": uid},
        )
    )
    assert (await runtime.sandbox(sandbox)).netns.startswith("/")
    container = await runtime.create_container(
        sandbox,
        ContainerSpec(
            name="c",
            attempt=0,
            image="docker.io/library/busybox:test",
            command=("sh", "-c", "echo hello; exec sleep 600"),
            log_path="c.log",
            labels={"io.kubernetes.pod.uid": uid},
            security=SecurityContext(run_as_user=1000),
        ),
    )
    told = asyncio.Event()

    async def listen() -> None:
        async for event in runtime.events():
            if event.container == container:
                told.set()

    listening = asyncio.create_task(listen())
    await runtime.start_container(container)
    print(f"sandbox and container started in {time.monotonic() - began:.3f} s")
    result = await runtime.exec_sync(container, ("sh", "-c", "id -u; exit 3"), timeout=5)
    assert (result.exit_code, result.output) == (3, b"1000\n")
    assert [found.state for found in await runtime.containers(uid)] == [State.RUNNING]
    assert "hello" in (tmp_path / "c.log").read_text()
    await runtime.stop_container(container, grace=0)
    [found] = await runtime.containers(uid)
    assert (found.state, found.exit_code) == (State.EXITED, 137)
    async with asyncio.timeout(5):
        await told.wait()
    listening.cancel()
    await runtime.remove_container(container)
    await runtime.remove_container(container)
    assert await runtime.containers(uid) == []
    await runtime.stop_sandbox(sandbox)
    await runtime.remove_sandbox(sandbox)
    with pytest.raises(NotFound):
        await runtime.sandbox(sandbox)
