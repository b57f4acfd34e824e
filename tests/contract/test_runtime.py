"""What every Runtime does: the simulated one and containerd, kind calls and unkind ones.

Containers are told how to behave twice: by annotations of their sandbox (simulated) and by their command (real).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from minikube.node.runtime.base import (
    Container,
    ContainerSpec,
    CreateFailed,
    ImagePullFailed,
    NotFound,
    Resources,
    Runtime,
    SandboxSpec,
    State,
)
from minikube.node.runtime.simulated import SimulatedRuntime
from tests.contract.runtimes import CGROUP, IMAGE, real

UID = "io.kubernetes.pod.uid"


@pytest_asyncio.fixture(params=["simulated", pytest.param("containerd", marks=pytest.mark.node)])
async def runtime(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    if request.param == "simulated":
        simulated = SimulatedRuntime()
        await simulated.pull_image(IMAGE)
        yield simulated
    else:
        async with real() as found:
            yield found


class Pod:
    """A sandbox and what runs in it."""

    def __init__(self, runtime: Runtime, directory: Path) -> None:
        self.runtime, self.directory, self.uid = runtime, directory, str(uuid.uuid4())
        self.sandbox = ""

    async def up(self, attempt: int = 0, **behaviour: str) -> str:
        annotations = {f"simulated.minikube/{name.replace('_', '-')}": value for name, value in behaviour.items()}
        spec = SandboxSpec(
            pod_uid=self.uid,
            name="p",
            namespace="default",
            attempt=attempt,
            hostname="p",
            log_directory=str(self.directory),
            cgroup_parent=CGROUP,
            labels={UID: self.uid},
            annotations=annotations,
        )
        self.sandbox = await self.runtime.run_sandbox(spec)
        return self.sandbox

    async def create(self, command: str = "exec sleep 600", name: str = "c", attempt: int = 0) -> str:
        spec = ContainerSpec(
            name=name,
            attempt=attempt,
            image=IMAGE,
            user_image=IMAGE,
            command=("sh", "-c", command),
            log_path=f"{name}{attempt}.log",
            labels={UID: self.uid},
            annotations={"kept": "yes"},
        )
        return await self.runtime.create_container(self.sandbox, spec)

    async def start(self, command: str = "exec sleep 600", name: str = "c", attempt: int = 0) -> str:
        container = await self.create(command, name, attempt)
        await self.runtime.start_container(container)
        return container

    async def run(self, container: str, command: str) -> None:
        assert (await self.runtime.exec_sync(container, ("sh", "-c", command), timeout=20)).exit_code == 0

    async def containers(self) -> dict[str, Container]:
        return {each.id: each for each in await self.runtime.containers(self.uid)}

    async def until(self, container: str, state: State) -> Container:
        for _ in range(500):
            if (found := (await self.containers())[container]).state is state:
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(found)


@pytest.fixture
def pod(runtime: Runtime, tmp_path: Path) -> Pod:
    return Pod(runtime, tmp_path)


async def test_a_sandbox_is_ready_until_it_is_stopped(pod: Pod) -> None:
    sandbox = await pod.up()
    [found] = await pod.runtime.sandboxes(pod.uid)
    assert (found.id, found.ready, found.pod_uid, found.attempt) == (sandbox, True, pod.uid, 0)
    assert (await pod.runtime.sandbox(sandbox)).netns
    await pod.runtime.stop_sandbox(sandbox)
    assert [each.ready for each in await pod.runtime.sandboxes(pod.uid)] == [False]


async def test_a_container_is_created_then_runs_then_has_ended(pod: Pod) -> None:
    await pod.up()
    container = await pod.create()
    assert (await pod.containers())[container].state is State.CREATED
    await pod.runtime.start_container(container)
    found = (await pod.containers())[container]
    assert found.state is State.RUNNING
    assert found.started_at is not None
    assert (found.name, found.attempt, found.annotations["kept"]) == ("c", 0, "yes")
    await pod.runtime.stop_container(container, grace=0)
    found = (await pod.containers())[container]
    assert (found.state, found.exit_code) == (State.EXITED, 137)
    assert found.finished_at is not None


async def test_an_exit_before_start_returned_is_seen(pod: Pod) -> None:
    await pod.up(exit_after="0", exit_code="3")
    container = await pod.start("exit 3")
    found = await pod.until(container, State.EXITED)
    assert (found.exit_code, found.reason) == (3, "Error")


async def test_a_good_end_is_called_completed(pod: Pod) -> None:
    await pod.up(exit_after="0")
    found = await pod.until(await pod.start("exit 0"), State.EXITED)
    assert (found.exit_code, found.reason) == (0, "Completed")


async def test_a_container_is_stopped_with_the_signal_that_is_asked_for(pod: Pod) -> None:
    await pod.up()
    container = await pod.start("trap 'exit 0' USR1; trap '' TERM; touch /ready; while :; do sleep 0.05; done")
    await pod.run(container, "while [ ! -e /ready ]; do sleep 0.05; done")
    await pod.runtime.stop_container(container, grace=20, signal="SIGUSR1")
    found = await pod.until(container, State.EXITED)
    assert found.exit_code == 0


async def test_a_grace_is_never_cut_short(pod: Pod) -> None:
    await pod.up()
    container = await pod.start("trap '' TERM; touch /ready; while :; do sleep 0.05; done")
    await pod.run(container, "while [ ! -e /ready ]; do sleep 0.05; done")
    begun = time.monotonic()
    await pod.runtime.stop_container(container, grace=1.9)
    found = await pod.until(container, State.EXITED)
    assert found.exit_code != 137 or time.monotonic() - begun >= 1.9


async def test_stopping_and_removing_what_is_gone_succeeds(pod: Pod) -> None:
    sandbox = await pod.up()
    container = await pod.start()
    for _ in range(2):
        await pod.runtime.stop_container(container, grace=0)
    for _ in range(2):
        await pod.runtime.remove_container(container)
    assert await pod.containers() == {}
    for _ in range(2):
        await pod.runtime.stop_sandbox(sandbox)
    for _ in range(2):
        await pod.runtime.remove_sandbox(sandbox)
    assert await pod.runtime.sandboxes(pod.uid) == []


async def test_a_stopped_sandbox_takes_its_containers_along(pod: Pod) -> None:
    sandbox = await pod.up()
    container = await pod.start()
    await pod.runtime.stop_sandbox(sandbox)
    await pod.until(container, State.EXITED)
    with pytest.raises(CreateFailed):
        await pod.create(name="late")
    await pod.runtime.remove_sandbox(sandbox)
    assert await pod.containers() == {}


async def test_a_running_container_can_be_removed(pod: Pod) -> None:
    await pod.up()
    await pod.runtime.remove_container(await pod.start())
    assert await pod.containers() == {}


async def test_what_does_not_exist_is_not_found(pod: Pod) -> None:
    with pytest.raises(NotFound):
        await pod.runtime.sandbox("0" * 64)
    with pytest.raises(NotFound):
        await pod.runtime.exec_sync("0" * 64, ("true",), timeout=1)


async def test_attempts_live_side_by_side(pod: Pod) -> None:
    await pod.up(exit_after="0")
    first = await pod.start("exit 0")
    await pod.until(first, State.EXITED)
    second = await pod.start("exit 0", attempt=1)
    await pod.until(second, State.EXITED)
    assert sorted(each.attempt for each in (await pod.containers()).values()) == [0, 1]
    await pod.runtime.remove_container(first)
    assert [each.id for each in (await pod.containers()).values()] == [second]


async def test_a_dead_sandbox_and_its_successor_live_side_by_side(pod: Pod) -> None:
    first = await pod.up()
    await pod.runtime.stop_sandbox(first)
    second = await pod.up(attempt=1)
    found = {each.id: each.ready for each in await pod.runtime.sandboxes(pod.uid)}
    assert found == {first: False, second: True}


async def test_limits_change_while_a_container_runs(pod: Pod) -> None:
    await pod.up()
    container = await pod.start()
    await pod.runtime.update_container(container, Resources(cpu_quota=50_000, cpu_period=100_000))
    assert (await pod.containers())[container].state is State.RUNNING


async def test_a_start_tells_and_an_end_tells(pod: Pod) -> None:
    """Events may come late or twice: all that counts is that after each of both somebody looks."""
    await pod.up()
    woken = asyncio.Event()

    async def listen() -> None:
        async for event in pod.runtime.events():
            if event.pod_uid in ("", pod.uid):
                woken.set()

    listening = asyncio.create_task(listen())
    try:
        await asyncio.sleep(0.2)
        container = await pod.create()
        woken.clear()
        await pod.runtime.start_container(container)
        async with asyncio.timeout(5):
            await woken.wait()
            await asyncio.sleep(0.3)
            woken.clear()
            await pod.runtime.stop_container(container, grace=0)
            await woken.wait()
    finally:
        listening.cancel()


async def test_a_pull_that_fails_says_why(runtime: Runtime) -> None:
    with pytest.raises(ImagePullFailed) as raised:
        await runtime.pull_image("127.0.0.1:1/missing:1")
    assert "127.0.0.1:1/missing:1" in raised.value.message


async def test_images_are_known_by_reference_and_id(runtime: Runtime) -> None:
    found = await runtime.image(IMAGE)
    assert found is not None
    assert found.id in {each.id for each in await runtime.images()}
    await runtime.remove_image(IMAGE)
    assert await runtime.image(IMAGE) is None
