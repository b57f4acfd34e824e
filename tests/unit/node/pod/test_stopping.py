"""How the containers of a pod end: turns, and the grace that all of them share."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from minikube.api.core_v1 import ContainerStatus, Pod
from minikube.kit.clock import SystemClock
from minikube.node.runtime.base import State
from minikube.node.runtime.simulated import SimulatedRuntime
from tests.fakes.node import IMAGE, NodeUnderTest, node_under_test


class Stubborn(SimulatedRuntime):
    """A container named `c` does not end before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.graces: list[float] = []

    async def stop_container(self, container: str, *, grace: float, signal: str = "") -> None:
        self.graces.append(grace)
        if any(each.id == container and each.name == "c" for each in await self.containers()):
            await self.let_go.wait()
        await super().stop_container(container, grace=grace, signal=signal)


class Ahead(SystemClock):
    """Of everybody else's."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def ended(status: ContainerStatus) -> bool:
    return status.state is not None and status.state.terminated is not None


def restarts(pod: Pod, index: int) -> int:
    return pod.status.container_statuses[index].restart_count if pod.status.container_statuses else 0


async def alive(node: NodeUnderTest) -> set[str]:
    return {each.name for each in await node.runtime.containers() if each.state is State.RUNNING}


async def test_a_sidecar_waits_for_the_main_containers_no_longer_than_the_grace(tmp_path: Path) -> None:
    runtime = Stubborn()
    await runtime.pull_image(IMAGE)
    async with node_under_test(runtime, tmp_path, "/test") as node:
        await node.run(initContainers=[{"name": "side", "restartPolicy": "Always"}])
        await node.until(lambda each: each.status.phase == "Running")
        await node.client.delete(Pod, "p", "default", grace_period_seconds=1)
        await node.until(lambda each: ended(each.status.init_container_statuses[0]))
        assert await alive(node) == {"c"}
        runtime.let_go.set()
        await node.gone()


async def test_a_node_whose_clock_is_wrong_gives_all_of_the_grace(tmp_path: Path) -> None:
    runtime = Stubborn()
    await runtime.pull_image(IMAGE)
    runtime.let_go.set()
    async with node_under_test(runtime, tmp_path, "/test") as node:
        await node.kill()
        await node.start(Ahead())
        await node.run(terminationGracePeriodSeconds=600)
        await node.until(lambda each: each.status.phase == "Running")
        await node.client.delete(Pod, "p", "default")
        await node.gone()
        assert max(runtime.graces) > 300


async def test_a_pod_that_ends_backs_off_no_more(tmp_path: Path) -> None:
    runtime = SimulatedRuntime()
    await runtime.pull_image(IMAGE)
    async with node_under_test(runtime, tmp_path, "/test") as node:
        said = {"simulated.minikube/exit-after.d": "0"}
        await node.run(annotations=said, containers=[{"name": "c"}, {"name": "d"}])
        await node.until(lambda each: restarts(each, 1) == 1)
        [first] = [each for each in await runtime.containers() if each.name == "c"]
        await runtime.stop_container(first.id, grace=1)
        await node.until(lambda each: restarts(each, 0) == 1)
        await node.client.delete(Pod, "p", "default")
        await node.gone()
        told = [message for reason, message in node.told.events if reason == "BackOff"]
        assert told
        assert not any("container c " in message for message in told)
