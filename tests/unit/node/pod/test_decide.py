"""One step of one pod's life, as a table of what is seen and what is to be done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from minikube.api.core_v1 import (
    ContainerRestartRule,
    ContainerRestartRuleOnExitCodes,
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    EphemeralContainer,
    Pod,
    PodStatus,
    Probe,
)
from minikube.api.meta import replace_meta
from minikube.node.pod.decide import (
    AttachNetwork,
    Discard,
    DiscardSandbox,
    Kill,
    RemovePod,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Terminate,
    Wait,
    decide,
    lost,
)
from minikube.node.pod.observed import Ending, Observed, Problem
from minikube.node.pod.pods import HASH_ANNOTATION
from minikube.node.pod.restarts import next_delay, renewed
from minikube.node.runtime.base import Container
from tests.unit.node.seen import NOW, SANDBOX, created, exited, pod, running, seen, wanted

INIT = (wanted("i"),)
SIDECAR = (wanted("i", restart_policy="Always"),)
LATE = (wanted("i", restart_policy="Always"), wanted("k"))
TWO_SIDECARS = (*SIDECAR, wanted("j", restart_policy="Always"))
DEAD = replace(SANDBOX, ready=False)
OLD = replace(DEAD, id="r")
AGAIN = replace(SANDBOX, id="t", attempt=1)
DEBUGGED = pod(ephemeral_containers=(EphemeralContainer(name="d", image="i"),))
ON_42 = (
    ContainerRestartRule(action="Restart", exit_codes=ContainerRestartRuleOnExitCodes(operator="In", values=(42,))),
)
ALL_ON_42 = (replace(ON_42[0], action="RestartAllContainers"),)
TOGETHER = pod(
    "Never",
    init=INIT,
    main=(wanted(restart_policy="Never", restart_policy_rules=ALL_ON_42), wanted("b")),
)
RULED = pod("Never", main=(wanted(restart_policy="Never", restart_policy_rules=ON_42),))
BRIEF = Probe(termination_grace_period_seconds=5)
LATER = NOW + timedelta(seconds=7)


def kill(name: str, grace: float = 30.0, why: str = "") -> Kill:
    return Kill(f"{name}0", name, grace, why, followed=why.endswith("will be restarted"))


@pytest.mark.parametrize(
    ("subject", "observed", "expected"),
    [
        # sandbox
        (pod(), Observed(), [StartSandbox(0)]),
        (pod(), Observed(sandboxes=(DEAD,)), [StartSandbox(1)]),
        (pod(), Observed(problems={"": Problem("ContainerCreating", "", LATER)}), [Wait(7.0)]),
        (pod(), seen(ips=()), [AttachNetwork("s")]),
        (pod(host_network=True), seen(ips=()), [StartContainer("a", 0)]),
        (pod(), seen(running(), sandboxes=(DEAD,)), [Terminate(((kill("a"),),))]),
        (pod(), seen(running(), sandboxes=(DEAD, AGAIN)), [Terminate(((kill("a"),),))]),
        (pod(), seen(running(), sandboxes=(OLD, replace(SANDBOX, attempt=1))), [DiscardSandbox("r")]),
        (pod("OnFailure"), seen(exited(0), sandboxes=(DEAD, AGAIN)), [StopSandbox("t")]),
        # main containers
        (pod(), seen(), [StartContainer("a", 0)]),
        (pod(), seen(problems={"a": Problem("ErrImagePull", "", LATER)}), [Wait(7.0)]),
        (pod(), seen(running()), []),
        (pod(), seen(created()), [Discard("a0")]),
        (pod(), seen(exited(1)), [StartContainer("a", 1)]),
        (pod(), seen(exited(0, attempt=1), delays={"a": 10.0}), [Wait(10.0)]),
        (pod(), seen(exited(1, attempt=1, ago=11), delays={"a": 10.0}), [StartContainer("a", 2)]),
        (pod(), seen(exited(1, attempt=9, ran=600), delays={"a": 300.0}), [StartContainer("a", 10)]),
        (pod("Never"), seen(exited(1)), [StopSandbox("s")]),
        (pod("OnFailure"), seen(exited(0)), [StopSandbox("s")]),
        (pod("Never", main=(wanted(restart_policy="OnFailure"),)), seen(exited(1)), [StartContainer("a", 1)]),
        (RULED, seen(exited(42)), [StartContainer("a", 1)]),
        (RULED, seen(exited(1)), [StopSandbox("s")]),
        # init containers and sidecars
        (pod(init=INIT), seen(), [StartContainer("i", 0)]),
        (pod(init=INIT), seen(running("i")), []),
        (pod(init=INIT), seen(exited(0, "i")), [StartContainer("a", 0)]),
        (pod(init=INIT), seen(exited(1, "i")), [StartContainer("i", 1)]),
        (pod(init=INIT), seen(exited(0, "i"), sandboxes=(DEAD, AGAIN)), [StartContainer("i", 1)]),
        (pod("Never", init=INIT), seen(exited(1, "i")), [StopSandbox("s")]),
        (pod(init=SIDECAR), seen(running("i")), [StartContainer("a", 0)]),
        (pod(init=SIDECAR), seen(running("i"), started=False), []),
        (pod(init=SIDECAR), seen(exited(1, "i"), running()), [StartContainer("i", 1)]),
        (pod(init=SIDECAR), seen(exited(1, "i"), exited(1)), [StartContainer("i", 1), StartContainer("a", 1)]),
        (pod("Never", init=SIDECAR), seen(exited(1, "i"), running()), [StartContainer("i", 1)]),
        (pod("Never", init=SIDECAR), seen(running("i"), exited(0)), [Terminate(((kill("i"),),))]),
        # a sidecar that fails meanwhile holds up only the one that is next
        (pod(init=LATE), seen(exited(1, "i"), running("k"), delays={"i": 10.0}), [Wait(10.0)]),
        (pod(init=LATE), seen(exited(1, "i"), exited(0, "k"), delays={"i": 10.0}),
         [Wait(10.0), StartContainer("a", 0)]),
        (pod(init=LATE), seen(exited(1, "i"), delays={"i": 10.0}), [Wait(10.0)]),
        (pod(init=(*LATE, wanted("l"))), seen(exited(1, "i"), exited(0, "k")),
         [StartContainer("i", 1), StartContainer("l", 0)]),
        # ephemeral containers
        (DEBUGGED, seen(running()), [StartContainer("d", 0)]),
        (DEBUGGED, seen(running(), exited(1, "d")), []),
        # what must not stay
        (pod(), seen(running(annotations={HASH_ANNOTATION: "other"})),
         [kill("a", why="Container a definition changed, will be restarted")]),
        (pod(), seen(running(), unhealthy={"a0": "liveness"}),
         [kill("a", why="Container a failed liveness probe, will be restarted")]),
        (pod("Never"), seen(running(), unhealthy={"a0": "liveness"}),
         [kill("a", why="Container a failed liveness probe")]),
        (pod(main=(wanted(liveness_probe=BRIEF),)), seen(running(), unhealthy={"a0": "liveness"}),
         [kill("a", 5.0, "Container a failed liveness probe, will be restarted")]),
        (pod(main=(wanted(startup_probe=BRIEF),)), seen(running(), unhealthy={"a0": "startup"}),
         [kill("a", 5.0, "Container a failed startup probe, will be restarted")]),
        (pod("Never", main=(wanted(restart_policy="OnFailure"),)), seen(running(), unhealthy={"a0": "liveness"}),
         [kill("a", why="Container a failed liveness probe, will be restarted")]),
        # what we end for another to follow is followed, whatever its exit code
        (pod("OnFailure"), seen(exited(0), followed={"a0"}), [StartContainer("a", 1)]),
        (pod("Never"), seen(exited(0), followed={"a0"}), [StartContainer("a", 1)]),
        (pod(), seen(exited(1, ago=20), exited(0, attempt=1), delays={"a": 10.0}, followed={"a1"}),
         [StartContainer("a", 2)]),
        (pod(), seen(exited(1, ago=5), exited(0, attempt=1), delays={"a": 10.0}, followed={"a1"}), [Wait(10.0)]),
        # ends
        (pod(), seen(running(), ending=Ending("Evicted", "", grace=4.0)), [Terminate(((kill("a", 4.0),),))]),
        (pod(), seen(exited(1), ending=Ending("Evicted", "")), [StopSandbox("s")]),
        (pod(init=TWO_SIDECARS), seen(running("i"), running("j"), running(), ending=Ending("Evicted", "")),
         [Terminate(((kill("a"),), (kill("j"),), (kill("i"),)))]),
    ],
)  # fmt: skip
def test_what_is_seen_decides_what_is_done(subject: Pod, observed: Observed, expected: list[Any]) -> None:
    assert decide(subject, observed, NOW) == expected


def test_a_deleted_pod_stops_its_containers_then_its_sandbox_then_goes() -> None:
    deleted = replace_meta(pod(), deletion_timestamp=NOW + timedelta(seconds=20), deletion_grace_period_seconds=30)
    assert decide(deleted, seen(running()), NOW) == [Terminate(((kill("a", 20.0),),))]
    assert decide(deleted, seen(exited(0)), NOW) == [StopSandbox("s")]
    assert decide(deleted, Observed(containers=(exited(0),)), NOW) == [RemovePod()]


def test_the_grace_of_a_deletion_counts_by_the_clock_of_the_node() -> None:
    late = replace_meta(pod(), deletion_timestamp=NOW - timedelta(hours=1), deletion_grace_period_seconds=30)
    observed = seen(running(), gone_by=NOW + timedelta(seconds=30))
    assert decide(late, observed, NOW) == [Terminate(((kill("a", 30.0),),))]


def test_even_a_forced_deletion_leaves_time_between_the_stop_signal_and_the_end() -> None:
    deleted = replace_meta(pod(), deletion_timestamp=NOW - timedelta(seconds=9), deletion_grace_period_seconds=0)
    assert decide(deleted, seen(running()), NOW) == [Terminate(((kill("a", 2.0),),))]


def test_a_pod_past_its_deadline_is_stopped_and_one_before_it_waits() -> None:
    begun = PodStatus(start_time=NOW - timedelta(seconds=10))
    assert decide(replace(pod(active_deadline_seconds=10), status=begun), seen(running()), NOW) == [
        Terminate(((kill("a"),),))
    ]
    assert decide(replace(pod(active_deadline_seconds=11), status=begun), seen(running()), NOW) == [Wait(1.0)]


def test_back_off_doubles_up_to_five_minutes_and_a_long_run_forgives() -> None:
    delay, delays = 0.0, []
    for _ in range(7):
        delay = next_delay(delay, exited(1, ran=1))
        delays.append(delay)
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert next_delay(300, exited(1, ran=600)) == 10
    assert [next_delay(0, exited(1), 15), next_delay(10, exited(1), 15), next_delay(0, exited(1), 4)] == [10, 15, 4]


def published(**more: Any) -> ContainerStatus:
    return ContainerStatus(name="a", container_id="containerd://a3", restart_count=3, **more)


def test_a_container_that_the_runtime_forgot_counts_as_ended() -> None:
    ran = published(state=ContainerState(running=ContainerStateRunning(started_at=NOW)))
    subject = replace(pod(), status=PodStatus(container_statuses=(ran,)))
    [found] = lost(subject, (), None)
    assert (found.attempt, found.exit_code, found.reason) == (3, 137, "ContainerStatusUnknown")
    assert decide(subject, seen(found), NOW) == [StartContainer("a", 4)]
    assert decide(replace(subject, spec=pod("Never").spec), seen(found), NOW) == [StopSandbox("s")]


def test_a_container_that_the_runtime_knows_is_not_taken_for_lost() -> None:
    ran = published(state=ContainerState(running=ContainerStateRunning(started_at=NOW)))
    subject = replace(pod(), status=PodStatus(container_statuses=(ran,)))
    assert list(lost(subject, (running(attempt=3),), SANDBOX)) == []


def together(*containers: Container) -> Observed:
    found = seen(*containers)
    return replace(found, renewed=renewed(TOGETHER, found.containers))


FORMER = (exited(0, "i", ago=90, ran=1), exited(42, "a", ago=10, ran=70))


def test_an_exit_that_restarts_all_first_ends_what_runs_without_hooks() -> None:
    observed = together(*FORMER, running("b", created_at=NOW - timedelta(seconds=80)))
    assert decide(TOGETHER, observed, NOW) == [Terminate(((kill("b"),),), hooks=False)]
    assert observed.restarting_all


def test_then_everything_begins_anew_init_containers_first_whatever_their_restart_policies() -> None:
    ended = exited(0, "b", ago=5, ran=75)
    assert decide(TOGETHER, together(*FORMER, ended), NOW) == [StartContainer("i", 1)]
    again = exited(0, "i", attempt=1, ago=2, ran=1)
    found = decide(TOGETHER, together(*FORMER, ended, again), NOW)
    assert found == [StartContainer("a", 1), StartContainer("b", 1)]
    assert not together(*FORMER, ended, again).restarting_all


def test_what_began_anew_is_left_alone() -> None:
    new = [running(name, attempt=1) for name in ("a", "b")]
    observed = together(*FORMER, exited(0, "i", attempt=1, ago=2, ran=1), exited(0, "b", ago=5, ran=75), *new)
    assert decide(TOGETHER, observed, NOW) == []


def test_another_exit_of_that_container_restarts_nothing() -> None:
    observed = together(exited(0, "i", ago=90, ran=1), exited(1, "a", ago=10, ran=70), running("b"))
    assert observed.renewed == frozenset()
    assert decide(TOGETHER, observed, NOW) == []
