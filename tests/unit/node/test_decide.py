"""One step of one pod's life, as a table of what is seen and what is to be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod, PodSpec
from minikube.api.meta import ObjectMeta, replace_meta
from minikube.node.decide import (
    Kill,
    KillAll,
    Observed,
    RemovePod,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Wait,
    decide,
)
from minikube.node.runtime.base import Container, Sandbox, State
from minikube.node.status import pod_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SANDBOX = Sandbox("s", "u", "web", "default", 0, ready=True, created_at=NOW)


def pod(policy: str = "Always", init: tuple[Wanted, ...] = ()) -> Pod:
    spec = PodSpec(containers=(Wanted(name="a", image="i"),), init_containers=init, restart_policy=policy)
    return Pod(metadata=ObjectMeta(name="web", namespace="default", uid="u"), spec=spec)


def running(name: str = "a", attempt: int = 0) -> Container:
    return Container(f"{name}{attempt}", "s", "u", name, attempt, State.RUNNING, started_at=NOW)


def exited(code: int, name: str = "a", attempt: int = 0, ago: float = 0) -> Container:
    at = NOW - timedelta(seconds=ago)
    return Container(
        f"{name}{attempt}", "s", "u", name, attempt, State.EXITED, started_at=at, finished_at=at, exit_code=code
    )


def seen(*containers: Container, started: bool = True, **more: Any) -> Observed:
    ids = frozenset(each.id for each in containers if started)
    return Observed(sandboxes=(SANDBOX,), containers=containers, ips=("10.42.0.2",), started=ids, ready=ids, **more)


INIT = (Wanted(name="i", image="i"),)
SIDECAR = (Wanted(name="i", image="i", restart_policy="Always"),)


@pytest.mark.parametrize(
    ("subject", "observed", "expected"),
    [
        (pod(), Observed(), [StartSandbox(0)]),
        (pod(), seen(), [StartContainer("a", 0)]),
        (pod(), seen(running()), []),
        (pod(), seen(exited(1)), [StartContainer("a", 1)]),
        (pod(), seen(exited(0, attempt=1)), [Wait(10.0)]),
        (pod(), seen(exited(1, attempt=3)), [Wait(40.0)]),
        (pod(), seen(exited(1, attempt=20)), [Wait(300.0)]),
        (pod(), seen(exited(1, attempt=1, ago=11)), [StartContainer("a", 2)]),
        (pod("Never"), seen(exited(1)), [StopSandbox("s")]),
        (pod("OnFailure"), seen(exited(0)), [StopSandbox("s")]),
        (pod(init=INIT), seen(), [StartContainer("i", 0)]),
        (pod(init=INIT), seen(running("i")), []),
        (pod(init=INIT), seen(exited(0, "i")), [StartContainer("a", 0)]),
        (pod("Never", init=INIT), seen(exited(1, "i")), [StopSandbox("s")]),
        (pod(init=SIDECAR), seen(running("i")), [StartContainer("a", 0)]),
        (pod(init=SIDECAR), seen(running("i"), started=False), []),
        (pod("Never", init=SIDECAR), seen(running("i"), exited(0)), [KillAll((Kill("i0", "i", 30.0),))]),
        (pod(), seen(running(), unhealthy={"a0": "failed liveness probe"}),
         [Kill("a0", "a", 30.0, "failed liveness probe")]),
    ],
)  # fmt: skip
def test_what_is_seen_decides_what_is_done(subject: Pod, observed: Observed, expected: list[Any]) -> None:
    assert decide(subject, observed, NOW) == expected


def test_a_deleted_pod_stops_its_containers_then_its_sandbox_then_goes() -> None:
    deleted = replace_meta(pod(), deletion_timestamp=NOW + timedelta(seconds=20), deletion_grace_period_seconds=30)
    assert decide(deleted, seen(running()), NOW) == [KillAll((Kill("a0", "a", 20.0),))]
    assert decide(deleted, seen(exited(0)), NOW) == [StopSandbox("s")]
    assert decide(deleted, Observed(containers=(exited(0),)), NOW) == [RemovePod()]


@pytest.mark.parametrize(
    ("subject", "observed", "phase", "ready"),
    [
        (pod(), Observed(), "Pending", False),
        (pod(), seen(running()), "Running", True),
        (pod(), seen(running(), started=False), "Running", False),
        (pod(), seen(exited(1, attempt=2)), "Running", False),
        (pod("Never"), seen(exited(0)), "Succeeded", False),
        (pod("Never"), seen(exited(1)), "Failed", False),
        (pod(init=INIT), seen(running("i")), "Pending", False),
    ],
)
def test_the_phase_follows_the_containers(subject: Pod, observed: Observed, phase: str, ready: bool) -> None:
    status = pod_status(subject, observed, NOW, ["10.0.0.1"], "containerd")
    assert status.phase == phase
    assert {each.type: each.status for each in status.conditions}["Ready"] == str(ready)


def test_a_crashing_container_shows_its_back_off_and_its_last_end() -> None:
    status = pod_status(pod(), seen(exited(3, attempt=2)), NOW, ["10.0.0.1"], "containerd").container_statuses[0]
    assert status.state is not None
    assert status.state.waiting is not None
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.last_state is not None
    assert status.last_state.terminated is not None
    assert (status.last_state.terminated.exit_code, status.restart_count) == (3, 2)
