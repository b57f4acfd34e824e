"""The life of pods over every runtime, kind and unkind: what the API shows, what runs, and that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from minikube.api.core_v1 import ContainerStatus, Pod
from minikube.client.base import PatchType
from minikube.node.runtime.base import State
from minikube.node.runtime.simulated import SimulatedRuntime
from minikube.node.shutdown import GracefulShutdown
from tests.contract.runtimes import CGROUP, IMAGE, real
from tests.fakes.node import NodeUnderTest, node_under_test
from tests.fakes.unkind import Unkind

SAID = "simulated.minikube/"


@pytest_asyncio.fixture(params=["simulated", pytest.param("containerd", marks=pytest.mark.node)])
async def node(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NodeUnderTest]:
    if request.param == "simulated":
        simulated = SimulatedRuntime()
        await simulated.pull_image(IMAGE)
        async with node_under_test(Unkind(simulated), tmp_path, CGROUP) as found:
            yield found
        return
    async with real() as runtime, node_under_test(Unkind(runtime), tmp_path, CGROUP) as found:
        yield found


def unkind(node: NodeUnderTest) -> Unkind:
    assert isinstance(node.runtime, Unkind)
    return node.runtime


def ending(code: int, after: float = 0, container: str = "c") -> dict[str, str]:
    return {f"{SAID}exit-after.{container}": str(after), f"{SAID}exit-code.{container}": str(code)}


def command(code: int, after: float = 0) -> list[str]:
    return ["sh", "-c", f"sleep {after}; exit {code}"]


def status(pod: Pod, name: str = "c") -> ContainerStatus:
    every = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return next(each for each in every if each.name == name)


def is_running(pod: Pod) -> bool:
    return pod.status.phase == "Running" and all(each.ready for each in pod.status.container_statuses)


async def assert_nothing_left(node: NodeUnderTest) -> None:
    assert await node.runtime.sandboxes() == []
    assert await node.runtime.containers() == []


async def running_attempts(node: NodeUnderTest, name: str = "c") -> list[int]:
    found = await node.runtime.containers()
    return [each.attempt for each in found if each.name == name and each.state is State.RUNNING]


async def test_a_pod_runs_and_goes(node: NodeUnderTest) -> None:
    await node.run()
    pod = await node.until(is_running)
    assert pod.status.pod_ip
    assert {each.type: each.status for each in pod.status.conditions} == dict.fromkeys(
        ("PodScheduled", "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"), "True"
    )
    await node.client.delete(Pod, "p", "default")
    await node.gone()
    await assert_nothing_left(node)


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
async def test_without_restarts_a_pod_ends_with_its_container(node: NodeUnderTest, code: int, phase: str) -> None:
    containers = [{"name": "c", "command": command(code)}]
    await node.run(annotations=ending(code), restartPolicy="Never", containers=containers)
    pod = await node.until(lambda each: each.status.phase == phase)
    state = status(pod).state
    assert state is not None
    assert state.terminated is not None
    assert state.terminated.exit_code == code


async def test_a_container_that_ends_is_restarted_at_once_and_then_with_back_off(node: NodeUnderTest) -> None:
    await node.run(annotations=ending(1), containers=[{"name": "c", "command": command(1)}])

    def backs_off(pod: Pod) -> bool:
        state = status(pod).state if pod.status.container_statuses else None
        return bool(state and state.waiting and state.waiting.reason == "CrashLoopBackOff")

    pod = await node.until(backs_off)
    last = status(pod).last_state
    assert status(pod).restart_count == 1
    assert last is not None
    assert last.terminated is not None
    assert last.terminated.exit_code == 1


async def test_init_containers_run_in_order_and_sidecars_stay(node: NodeUnderTest) -> None:
    said = {**ending(0, container="first"), **ending(0, 0.2, "c")}
    await node.run(
        annotations=said,
        restartPolicy="Never",
        initContainers=[
            {"name": "first", "command": command(0)},
            {"name": "side", "restartPolicy": "Always"},
        ],
        containers=[{"name": "c", "command": command(0, 1)}],
    )
    pod = await node.until(is_running)
    assert status(pod, "side").ready
    first, side = status(pod, "first").state, status(pod, "side").state
    assert first is not None
    assert first.terminated is not None
    assert side is not None
    assert side.running is not None
    await node.until(lambda each: each.status.phase == "Succeeded")
    assert await running_attempts(node, "side") == []


async def test_a_failing_init_container_fails_a_pod_that_never_restarts(node: NodeUnderTest) -> None:
    first = {"name": "first", "command": command(1)}
    await node.run(annotations=ending(1, container="first"), restartPolicy="Never", initContainers=[first])
    await node.until(lambda each: each.status.phase == "Failed")
    assert [each.name for each in await node.runtime.containers()] == ["first"]


async def test_a_pod_past_its_deadline_fails(node: NodeUnderTest) -> None:
    await node.run(activeDeadlineSeconds=1)
    pod = await node.until(lambda each: each.status.phase == "Failed")
    assert pod.status.reason == "DeadlineExceeded"


async def test_an_exit_code_may_restart_all_containers_with_what_came_before_them(node: NodeUnderTest) -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    await node.run(
        annotations={**ending(42, after=4), **ending(0, container="i")},
        restartPolicy="Never",
        initContainers=[{"name": "i", "command": command(0)}],
        containers=[
            {"name": "c", "command": command(42, after=4), "restartPolicy": "Never", "restartPolicyRules": [rule]},
            {"name": "b"},
        ],
    )
    first = status(await node.until(is_running), "b").container_id

    def again(pod: Pod) -> bool:
        return is_running(pod) and all(status(pod, name).restart_count == 1 for name in ("i", "c", "b"))

    pod = await node.until(again)
    assert status(pod, "b").container_id != first
    condition = next(each for each in pod.status.conditions if each.type == "AllContainersRestarting")
    assert condition.status == "False"
    assert await running_attempts(node, "b") == [1]


async def test_a_killed_agent_is_followed_by_one_that_adopts(node: NodeUnderTest) -> None:
    await node.run()
    before = status(await node.until(is_running)).container_id
    await node.kill()
    await node.start()
    await node.until(is_running)
    await asyncio.sleep(0.3)
    pod = await node.pod()
    assert (status(pod).container_id, status(pod).restart_count) == (before, 0)
    assert await running_attempts(node) == [0]


async def test_what_was_ready_stays_so_over_a_restart_of_the_agent(node: NodeUnderTest) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1000}
    await node.run(containers=[{"name": "c", "readinessProbe": probe, "startupProbe": probe}])
    await node.until(is_running)
    shown: list[bool] = []
    node.cluster.informers.of(Pod).add_handler(lambda _, pod: shown.append(pod is not None and is_running(pod)))
    await node.kill()
    await node.start()
    await node.client.patch(Pod, "p", "default", patch={"metadata": {"annotations": {"seen": "yes"}}})

    def looked_again(pod: Pod) -> bool:
        worker = node.agent.workers.get(pod.metadata.uid) if node.agent is not None else None
        return worker is not None and len(worker.observed.ready) == 1 and "seen" in worker.pod.metadata.annotations

    await node.until(looked_again)
    assert all(shown)
    assert shown


async def test_a_container_that_ended_while_the_agent_was_down_is_restarted_once(node: NodeUnderTest) -> None:
    await node.run()
    await node.until(is_running)
    await node.kill()
    [found] = await node.runtime.containers()
    await node.runtime.stop_container(found.id, grace=0)
    await node.start()
    await node.until(lambda each: is_running(each) and status(each).restart_count == 1)
    assert await running_attempts(node) == [1]


async def test_a_dead_sandbox_is_replaced_with_all_that_ran_in_it(node: NodeUnderTest) -> None:
    await node.run()
    await node.until(is_running)
    await node.kill()
    [found] = await node.runtime.sandboxes()
    await node.runtime.stop_sandbox(found.id)
    await node.start()
    await node.until(lambda each: is_running(each) and status(each).restart_count == 1)
    assert await running_attempts(node) == [1]
    assert ("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.") in node.told.events


async def test_a_pod_deleted_while_the_agent_was_down_is_cleaned_away(node: NodeUnderTest) -> None:
    await node.run()
    await node.until(is_running)
    await node.kill()
    await node.client.delete(Pod, "p", "default", grace_period_seconds=0)
    await node.start()
    await node.empty()
    await assert_nothing_left(node)


@pytest.mark.parametrize("how", ["refuse", "lose"])
@pytest.mark.parametrize("call", ["run_sandbox", "sandbox", "create_container", "start_container"])
async def test_a_call_that_goes_wrong_on_the_way_up_leaves_one_of_everything(
    node: NodeUnderTest, how: str, call: str
) -> None:
    getattr(unkind(node), how)[call] = 1
    await node.run()
    await node.until(is_running)
    assert len(await running_attempts(node)) == 1
    assert len([each for each in await node.runtime.sandboxes() if each.ready]) == 1
    await node.client.delete(Pod, "p", "default")
    await node.gone()
    await assert_nothing_left(node)


@pytest.mark.parametrize("how", ["refuse", "lose"])
@pytest.mark.parametrize("call", ["stop_container", "stop_sandbox", "remove_sandbox", "containers", "sandboxes"])
async def test_a_call_that_goes_wrong_on_the_way_down_leaves_nothing(
    node: NodeUnderTest, how: str, call: str
) -> None:
    await node.run()
    await node.until(is_running)
    getattr(unkind(node), how)[call] = 1
    await node.client.delete(Pod, "p", "default")
    await node.gone()
    await assert_nothing_left(node)


async def test_doubled_events_double_nothing(node: NodeUnderTest) -> None:
    unkind(node).doubled = True
    await node.run(annotations=ending(0, 0.1), containers=[{"name": "c", "command": command(0, 0.1)}])
    await node.until(lambda each: bool(each.status.container_statuses) and status(each).restart_count == 1)
    assert len({each.attempt for each in await node.runtime.containers()}) == 2


async def test_what_happened_in_a_gap_is_found_by_looking_again(node: NodeUnderTest) -> None:
    await node.run()
    await node.until(is_running)
    unkind(node).deaf = True
    [found] = [each for each in await node.runtime.containers() if each.name == "c"]
    await node.runtime.stop_container(found.id, grace=0)
    await asyncio.sleep(0.3)
    assert await running_attempts(node) == []
    unkind(node).deaf = False
    await node.run("q")  # the next event of anybody's ends the gap
    await node.until(lambda each: is_running(each) and status(each).restart_count == 1)


async def test_a_missing_image_is_told_and_recovers_when_the_pod_is_mended(node: NodeUnderTest) -> None:
    await node.run(containers=[{"name": "c", "image": "127.0.0.1:1/missing:1"}])

    def waits(pod: Pod) -> str:
        state = status(pod).state if pod.status.container_statuses else None
        return state.waiting.reason if state and state.waiting else ""

    await node.until(lambda each: waits(each) == "ImagePullBackOff")
    reasons = {reason for reason, _ in node.told.events}
    assert {"Pulling", "Failed", "BackOff"} <= reasons
    patch = [{"op": "replace", "path": "/spec/containers/0/image", "value": IMAGE}]
    await node.client.patch(Pod, "p", "default", patch=patch, type=PatchType.JSON)
    await node.until(is_running)


async def test_another_image_runs_even_in_a_pod_that_never_restarts(node: NodeUnderTest) -> None:
    await node.run(restartPolicy="Never", containers=[{"name": "c"}])
    await node.until(is_running)
    image = {"spec": {"containers": [{"name": "c", "image": "busybox:test"}]}}
    await node.client.patch(Pod, "p", "default", patch=image, type=PatchType.STRATEGIC)
    await node.until(lambda each: is_running(each) and status(each).restart_count == 1)
    assert await running_attempts(node) == [1]


async def test_a_storm_of_pods_leaves_nothing(node: NodeUnderTest) -> None:
    names = [f"p{number}" for number in range(12)]
    for name in names:
        await node.run(name)
    for name in names[::2]:
        await node.client.delete(Pod, name, "default")
    for name in names[1::2]:
        await node.until(is_running, name)
        await node.client.delete(Pod, name, "default", grace_period_seconds=0)
    await node.empty()
    await assert_nothing_left(node)


async def test_pods_end_before_their_machine_does(node: NodeUnderTest) -> None:
    node.settings = replace(node.settings, shutdown_grace_period=20, shutdown_grace_period_critical_pods=5)
    await node.kill()
    await node.start()
    await node.run()
    await node.run("last", priority=2_000_000_000)
    await node.until(is_running)
    await node.until(is_running, "last")
    assert node.agent is not None
    await GracefulShutdown(node.agent).end_pods()
    for name in ("p", "last"):
        pod = await node.until(lambda each: each.status.phase == "Failed", name)
        assert pod.status.reason == "Terminated"
        assert "DisruptionTarget" in {each.type for each in pod.status.conditions}
    await node.run("late")
    late = await node.until(lambda each: each.status.phase == "Failed", "late")
    assert late.status.reason == "NodeShutdown"


def static(seconds: int) -> str:
    return (
        "{kind: Pod, apiVersion: v1, metadata: {name: s}, spec: {terminationGracePeriodSeconds: 1, containers: "
        f"[{{name: c, image: '{IMAGE}', command: [sleep, '{seconds}']}}]}}}}"
    )


async def test_a_static_pod_is_shown_by_a_mirror_and_ends_with_its_manifest(node: NodeUnderTest) -> None:
    manifest = node.settings.manifests_dir / "s.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(static(600))
    pod = await node.until(is_running, "s-n")
    assert "kubernetes.io/config.mirror" in pod.metadata.annotations
    await node.client.delete(Pod, "s-n", "default", grace_period_seconds=0)
    again = await node.until(lambda each: each.metadata.uid != pod.metadata.uid and is_running(each), "s-n")
    assert status(again).container_id == status(pod).container_id
    manifest.unlink()
    await node.gone("s-n")
    await assert_nothing_left(node)


async def test_one_static_pod_of_a_name_runs_at_a_time(node: NodeUnderTest) -> None:
    directory = node.settings.manifests_dir
    directory.mkdir(parents=True)
    (directory / "s.yaml").write_text(static(600))
    first = await node.until(is_running, "s-n")
    (directory / "t.yaml").write_text(static(700))
    (directory / "s.yaml").write_text(static(800))
    second = await node.until(lambda each: each.metadata.uid != first.metadata.uid and is_running(each), "s-n")
    [run] = await node.runtime.containers()  # that of the first is gone, that of t.yaml never was
    assert status(second).container_id.endswith(run.id)
    (directory / "s.yaml").unlink()
    await node.until(lambda each: each.metadata.uid != second.metadata.uid and is_running(each), "s-n")
    (directory / "t.yaml").unlink()
    (directory / "t.yaml").write_text(static(700))
    await node.until(is_running, "s-n")
    (directory / "t.yaml").unlink()
    await node.gone("s-n")
    await assert_nothing_left(node)


async def test_a_pod_that_the_node_cannot_hold_is_refused(node: NodeUnderTest) -> None:
    asked = {"name": "c", "resources": {"requests": {"cpu": "1000"}}}
    await node.until_node_reported()
    await node.run(containers=[asked])
    pod = await node.until(lambda each: each.status.phase == "Failed")
    assert pod.status.reason == "OutOfcpu"
    assert await node.runtime.sandboxes() == []


async def test_a_container_gets_more_while_it_runs(node: NodeUnderTest) -> None:
    await node.until_node_reported()
    await node.run(containers=[{"name": "c", "resources": {"requests": {"cpu": "100m"}}}])
    before = status(await node.until(is_running)).container_id
    more = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "200m"}}}]}}
    await node.client.patch(Pod, "p", "default", patch=more, type=PatchType.STRATEGIC, subresource="resize")

    def resized(pod: Pod) -> bool:
        given = status(pod).resources
        return given is not None and given.requests.get("cpu") == "200m"

    pod = await node.until(resized)
    assert status(pod).container_id == before
    assert "PodResizePending" not in {each.type for each in pod.status.conditions}


async def test_an_ephemeral_container_joins_a_running_pod(node: NodeUnderTest) -> None:
    await node.run()
    await node.until(is_running)
    added = {"name": "debug", "image": IMAGE, "command": ["sleep", "600"], "targetContainerName": "c"}
    patch = {"spec": {"ephemeralContainers": [added]}}
    await node.client.patch(
        Pod, "p", "default", patch=patch, type=PatchType.STRATEGIC, subresource="ephemeralcontainers"
    )

    def joined(pod: Pod) -> bool:
        found = [each.state for each in pod.status.ephemeral_container_statuses]
        return bool(found and found[0] and found[0].running)

    pod = await node.until(joined)
    assert is_running(pod)
