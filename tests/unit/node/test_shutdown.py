"""How pods end before their machine does."""

from __future__ import annotations

import pytest

from minikube.api.core_v1 import Pod
from minikube.api.meta import replace_meta
from minikube.node.shutdown import Share, ending, grouped, shares_of
from minikube.settings import Settings, SettingsError
from tests.unit.node.seen import pod


def of(uid: str, priority: int = 0, grace: int = 60) -> Pod:
    return replace_meta(pod(termination_grace_period_seconds=grace, priority=priority), uid=uid)


def test_each_pod_has_its_own_grace_within_the_share_of_its_kind() -> None:
    shares = shares_of(Settings(shutdown_grace_period=30, shutdown_grace_period_critical_pods=10))
    groups = grouped((of("c", 2_000_000_000), of("o"), of("b", grace=5)), shares)
    graces = [[(each.metadata.uid, ending(each, share).grace) for each in pods] for share, pods in groups]
    assert graces == [[("o", 20), ("b", 5)], [("c", 10)]]


def test_pods_end_by_priority_in_the_share_at_or_below_their_own() -> None:
    shares = shares_of(Settings(shutdown_grace_period_by_pod_priority="1000=10s,100=1m,0=20s"))
    assert shares == (Share(0, 20), Share(100, 60), Share(1000, 10))
    pods = [of("top", 9999), of("edge", 1000), of("middle", 999), of("none"), of("below", -5)]
    found = [(share.priority, [each.metadata.uid for each in mine]) for share, mine in grouped(pods, shares)]
    assert found == [(0, ["none", "below"]), (100, ["middle"]), (1000, ["top", "edge"])]


def test_groups_without_pods_take_no_time() -> None:
    shares = (Share(0, 20), Share(1000, 10))
    assert [share.priority for share, _ in grouped([of("a", 1000)], shares)] == [1000]


def test_nobody_is_looked_after_unless_time_is_granted() -> None:
    assert shares_of(Settings()) == ()


@pytest.mark.parametrize("text", ["0", "high=10s", "0=soon"])
def test_shares_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        shares_of(Settings(shutdown_grace_period_by_pod_priority=text))


def test_time_is_granted_in_one_way_only() -> None:
    with pytest.raises(SettingsError, match="not both"):
        shares_of(Settings(shutdown_grace_period=5, shutdown_grace_period_by_pod_priority="0=10s"))


def test_the_status_says_that_the_machine_went_down() -> None:
    found = ending(of("o"), Share(0, 20))
    assert (found.reason, found.disruption) == ("Terminated", "TerminationByKubelet")
    assert found.message == "Pod was terminated in response to imminent node shutdown."
