"""A pod's status as a function of what is seen of it: phases, conditions, container states."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    ContainerStatus,
    ContainerUser,
    EphemeralContainer,
    LinuxContainerUser,
    Pod,
    PodCondition,
    PodReadinessGate,
    PodStatus,
    ResourceRequirements,
    VolumeMount,
)
from minikube.api.meta import replace_meta
from minikube.node.pod.observed import Ending, Observed, Problem
from minikube.node.pod.status import pod_status
from minikube.node.runtime.base import User
from tests.unit.node.seen import HOST, NOW, created, exited, pod, running, seen, wanted

INIT = (wanted("i"),)
SIDECAR = (wanted("i", restart_policy="Always"),)
DELETED = replace_meta(pod(), deletion_timestamp=NOW)
PULL_FAILED = {"a": Problem("ImagePullBackOff", "why")}
EVICTED = Ending("Evicted", "The node was low on resource: memory.", disruption="TerminationByKubelet")


def status_of(subject: Pod, observed: Observed) -> PodStatus:
    return pod_status(subject, observed, NOW, HOST, "containerd")


@pytest.mark.parametrize(
    ("subject", "observed", "phase", "ready"),
    [
        (pod(), Observed(), "Pending", False),
        (pod(), seen(created()), "Pending", False),
        (pod(), seen(running()), "Running", True),
        (pod(), seen(running(), started=False), "Running", False),
        (pod(), seen(running(), ready=False), "Running", False),
        (pod(), seen(exited(1, attempt=2), delays={"a": 10.0}), "Running", False),
        (pod("OnFailure"), seen(exited(1)), "Running", False),
        (pod("Never"), seen(exited(0)), "Succeeded", False),
        (pod("Never"), seen(exited(1)), "Failed", False),
        (pod(init=INIT), seen(running("i")), "Pending", False),
        (pod(init=INIT), seen(exited(1, "i"), delays={"i": 10.0}), "Pending", False),
        (pod("Never", init=INIT), seen(exited(1, "i")), "Failed", False),
        (pod("Never", init=(wanted("i", restart_policy="OnFailure"),)), seen(exited(1, "i")), "Pending", False),
        (pod(init=(wanted("i", restart_policy="Never"),)), seen(exited(1, "i")), "Failed", False),
        (pod("Never", init=(*SIDECAR, wanted("j"))), seen(running("i"), exited(1, "j")), "Pending", False),
        (pod("Never", init=(*SIDECAR, wanted("j"))), seen(exited(0, "i"), exited(1, "j")), "Failed", False),
        (pod(init=SIDECAR), seen(running("i"), started=False), "Pending", False),
        (pod(init=SIDECAR), seen(running("i"), running()), "Running", True),
        (pod(init=SIDECAR), seen(exited(1, "i"), running()), "Running", False),
        (pod("Never", init=SIDECAR), seen(running("i"), exited(0)), "Running", False),
        (pod("Never", init=SIDECAR), seen(exited(137, "i"), exited(0)), "Succeeded", False),
        (DELETED, seen(running()), "Running", True),
        (DELETED, seen(exited(0)), "Succeeded", False),
        (DELETED, seen(exited(137)), "Failed", False),
        (pod(), seen(running(), ending=EVICTED), "Running", True),
        (pod(), seen(exited(0), ending=EVICTED), "Failed", False),
    ],
)
def test_the_phase_follows_the_containers(subject: Pod, observed: Observed, phase: str, ready: bool) -> None:
    status = status_of(subject, observed)
    assert status.phase == phase
    assert {each.type: each.status for each in status.conditions}["Ready"] == str(ready)


def test_a_terminal_phase_stays() -> None:
    over = replace(pod(), status=PodStatus(phase="Failed", reason="Evicted", message="why"))
    status = status_of(over, seen(exited(0)))
    assert (status.phase, status.reason, status.message) == ("Failed", "Evicted", "why")


def test_the_status_of_a_refused_pod_outlives_the_agent() -> None:
    refused = replace(pod(), status=status_of(pod(), Observed(ending=Ending("OutOfcpu", "much", rejected=True))))
    assert status_of(refused, Observed()) == refused.status


def condition(status: PodStatus, type: str) -> PodCondition:
    return next(each for each in status.conditions if each.type == type)


def test_an_eviction_is_told_before_the_pod_is_over() -> None:
    found = condition(status_of(pod(), seen(running(), ending=EVICTED)), "DisruptionTarget")
    assert (found.status, found.reason) == ("True", "TerminationByKubelet")


def test_a_rejected_pod_fails_without_containers() -> None:
    status = status_of(pod(), Observed(ending=Ending("OutOfcpu", "too much", rejected=True)))
    assert (status.phase, status.reason, status.message) == ("Failed", "OutOfcpu", "Pod was rejected: too much")
    assert status.container_statuses == ()


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        ((), "ReadinessGatesNotReady", 'corresponding condition of pod readiness gate "g/x" does not exist.'),
        ((PodCondition(type="g/x", status="False"),), "ReadinessGatesNotReady",
         'the status of pod readiness gate "g/x" is not "True", but False'),
        ((PodCondition(type="g/x", status="True"),), "", ""),
    ],
)  # fmt: skip
def test_readiness_gates_hold_a_pod_back(given: Any, reason: str, message: str) -> None:
    gated = pod(readiness_gates=(PodReadinessGate(condition_type="g/x"),))
    status = status_of(replace(gated, status=PodStatus(conditions=given)), seen(running()))
    ready = condition(status, "Ready")
    assert (ready.reason, ready.message) == (reason, message)
    assert condition(status, "ContainersReady").status == "True"


def test_conditions_say_which_containers_they_wait_for() -> None:
    status = status_of(pod(init=(*INIT, wanted("j"))), seen(exited(0, "i"), running("j")))
    assert condition(status, "Initialized").message == "containers with incomplete status: [j]"
    assert condition(status, "ContainersReady").message == "containers with unready status: [a]"
    assert condition(status, "Initialized").observed_generation == 1


def test_conditions_of_others_are_kept() -> None:
    told = PodCondition(type="example.com/mine", status="True")
    status = status_of(replace(pod(), status=PodStatus(conditions=(told,))), seen(running()))
    assert told in status.conditions


def test_a_crashing_container_shows_its_back_off_and_its_last_end() -> None:
    status = status_of(pod(), seen(exited(3, attempt=2), delays={"a": 80.0})).container_statuses[0]
    assert status.state is not None
    assert status.state.waiting is not None
    assert status.state.waiting.reason == "CrashLoopBackOff"
    text = "back-off 1m20s restarting failed container=a pod=web_default(u)"
    assert status.state.waiting.message == text
    assert status.last_state is not None
    assert status.last_state.terminated is not None
    assert (status.last_state.terminated.exit_code, status.restart_count) == (3, 2)


UNKNOWN = "ContainerStatusUnknown"


@pytest.mark.parametrize(
    ("subject", "observed", "inits", "main"),
    [
        (pod(), seen(problems=PULL_FAILED, ending=EVICTED), [], UNKNOWN),
        (pod(init=INIT), seen(exited(137, "i"), ending=EVICTED), ["Error"], "PodInitializing"),
        (pod(init=INIT), seen(exited(0, "i"), ending=EVICTED), ["Completed"], UNKNOWN),
        (pod(init=INIT), seen(ending=EVICTED), [UNKNOWN], "PodInitializing"),
        (pod(init=(*INIT, wanted("j"))), seen(exited(1, "i"), ending=EVICTED), ["Error", "PodInitializing"],
         "PodInitializing"),
        (pod(init=(*SIDECAR, wanted("j"))), seen(exited(0, "j"), ending=EVICTED), [UNKNOWN, "Completed"], UNKNOWN),
        (pod(init=INIT), seen(running("i"), ending=EVICTED), ["running"], "PodInitializing"),
    ],
)  # fmt: skip
def test_what_never_ran_in_a_pod_that_is_over_has_an_unknown_end(
    subject: Pod, observed: Observed, inits: list[str], main: str
) -> None:
    status = status_of(subject, observed)
    assert [reason(each) for each in status.init_container_statuses] == inits
    assert [reason(each) for each in status.container_statuses] == [main]


def reason(status: ContainerStatus) -> str:
    state = status.state
    assert state is not None
    if state.running:
        return "running"
    told = state.waiting or state.terminated
    assert told is not None
    return told.reason


def test_a_pod_that_is_over_has_no_sandbox_any_more() -> None:
    over = replace(pod(), status=status_of(pod(), seen(ending=EVICTED)))
    assert condition(over.status, "PodReadyToStartContainers").status == "True"
    later = status_of(over, Observed())
    assert condition(later, "PodReadyToStartContainers").status == "False"
    assert replace(later, conditions=over.status.conditions) == over.status


def test_a_back_off_is_told_before_what_the_last_try_met() -> None:
    observed = seen(exited(128), delays={"a": 80.0}, problems={"a": Problem("RunContainerError", "why")})
    state = status_of(pod(), observed).container_statuses[0].state
    assert state is not None
    assert state.waiting is not None
    assert state.waiting.reason == "CrashLoopBackOff"


@pytest.mark.parametrize(
    ("subject", "observed", "reason"),
    [
        (pod(), Observed(), "ContainerCreating"),
        (pod(init=INIT), seen(exited(0, "i")), "PodInitializing"),
        (pod(), seen(problems={"a": Problem("ImagePullBackOff", "why")}), "ImagePullBackOff"),
        (pod(), seen(running(), hooking=frozenset({"a0"})), "ContainerCreating"),
        (pod(), seen(exited(1), problems={"a": Problem("RunContainerError", "why")}), "RunContainerError"),
        (pod("Never"), seen(exited(0), followed=frozenset({"a0"})), "ContainerCreating"),
        (pod("OnFailure"), seen(exited(0), followed=frozenset({"a0"}), problems=PULL_FAILED), "ImagePullBackOff"),
    ],
)
def test_a_waiting_container_says_why(subject: Pod, observed: Observed, reason: str) -> None:
    state = status_of(subject, observed).container_statuses[0].state
    assert state is not None
    assert state.waiting is not None
    assert state.waiting.reason == reason


def test_an_ephemeral_container_has_a_status_and_is_never_ready() -> None:
    subject = pod(ephemeral_containers=(EphemeralContainer(name="d", image="i"),))
    [status] = status_of(subject, seen(running(), running("d"))).ephemeral_container_statuses
    assert (status.ready, status.started) == (False, None)
    assert status.state is not None
    assert status.state.running is not None


@pytest.mark.parametrize("able", [False, True])
def test_what_came_of_recursive_read_only_is_said(able: bool) -> None:
    asked = ("", "Disabled", "IfPossible", "Enabled")
    mounts = [
        VolumeMount(name="v", mount_path=f"/{each}", read_only=True, recursive_read_only=each) for each in asked
    ]
    subject = pod(main=(wanted(volume_mounts=tuple(mounts)),))
    [status] = status_of(subject, seen(running(), recursive_read_only=able)).container_statuses
    possible = "Enabled" if able else "Disabled"
    assert [each.recursive_read_only for each in status.volume_mounts] == [
        "Disabled",
        "Disabled",
        possible,
        possible,
    ]


def test_resources_and_mounts_are_part_of_a_status() -> None:
    given = ResourceRequirements(limits={"cpu": "1"}, requests={"cpu": "500m"})
    mounts = (VolumeMount(name="v", mount_path="/v", read_only=True), VolumeMount(name="w", mount_path="/w"))
    subject = pod(main=(wanted(resources=given, volume_mounts=mounts),))
    [status] = status_of(subject, seen(running())).container_statuses
    assert status.resources == given
    assert status.allocated_resources == {"cpu": "500m"}
    assert [(each.name, each.recursive_read_only) for each in status.volume_mounts] == [
        ("v", "Disabled"),
        ("w", ""),
    ]


def test_whom_a_container_runs_as_is_shown_where_the_runtime_tells_it() -> None:
    told = status_of(pod(), seen(running(user=User(1000, 100, (100, 5)))))
    assert told.container_statuses[0].user == ContainerUser(
        linux=LinuxContainerUser(uid=1000, gid=100, supplemental_groups=(100, 5))
    )
    assert status_of(pod(), seen(running())).container_statuses[0].user is None
