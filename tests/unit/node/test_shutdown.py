"""How pods end before their machine does."""

from __future__ import annotations

from msgspec.structs import replace

from minikube.api.meta import replace_meta
from minikube.node.shutdown import endings
from tests.unit.node.seen import pod

ORDINARY = replace_meta(pod(termination_grace_period_seconds=60), uid="o")
BRIEF = replace_meta(pod(termination_grace_period_seconds=5), uid="b")
CRITICAL = replace_meta(pod(termination_grace_period_seconds=60, priority=2_000_000_000), uid="c")


def test_each_pod_has_its_own_grace_within_the_share_of_its_kind() -> None:
    found = endings((ORDINARY, BRIEF, CRITICAL), 30, 10)
    assert {uid: each.grace for uid, each in found.items()} == {"o": 20, "b": 5, "c": 10}


def test_the_status_says_that_the_machine_went_down() -> None:
    [found] = endings((replace(ORDINARY),), 30, 10).values()
    assert (found.reason, found.disruption) == ("Terminated", "TerminationByKubelet")
    assert found.message == "Pod was terminated in response to imminent node shutdown."
