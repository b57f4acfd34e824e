"""The CRI runtime over a real containerd of its own; everything it makes is gone afterwards."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from minikube.node.runtime.base import ContainerSpec, NotFound, Runtime, SandboxSpec, SecurityContext, State
from tests.contract.runtimes import CGROUP, IMAGE, real

pytestmark = pytest.mark.node


@pytest_asyncio.fixture
async def runtime() -> AsyncIterator[Runtime]:
    async with real() as found:
        yield found


async def test_a_container_runs_says_something_and_is_removed(runtime: Runtime, tmp_path: Path) -> None:
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
            image=IMAGE,
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
