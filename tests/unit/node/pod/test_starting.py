"""What a change of the pod means for what could not start."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from minikube.node.pod.starting import Starter
from minikube.node.pod.stopping import Stopper
from minikube.node.runtime.simulated import SimulatedRuntime
from tests.fakes.node import node_under_test
from tests.unit.node.seen import pod, wanted


async def test_another_image_forgets_the_back_off_of_the_one_before_and_of_no_other(tmp_path: Path) -> None:
    async with node_under_test(SimulatedRuntime(), tmp_path, "/test") as node:
        assert node.agent is not None
        starter = Starter(node.agent, Stopper(node.agent))
        starter.delays = {"a": 80.0, "b": 40.0}
        starter.problems.failed("b", "CreateContainerConfigError", "why")
        for _ in range(5):
            starter.problems.pull_failed("a", "why")
        before = pod(main=(wanted(), wanted("b")))
        starter.changed(before, pod(main=(wanted(), wanted("b")), active_deadline_seconds=9))
        assert starter.delays == {"a": 80.0, "b": 40.0}
        starter.changed(before, pod(main=(replace(wanted(), image="j"), wanted("b"))))
        assert starter.delays == {"b": 40.0}
        assert starter.problems.current() == {}
        starter.problems.pull_failed("a", "why")
        retry = starter.problems.current()["a"].retry_at
        assert retry is not None
        assert (retry - node.agent.clock.now()).total_seconds() <= 11
