"""What is written of a status: only differences, and nothing that others own."""

from __future__ import annotations

from msgspec.structs import replace

from minikube.api.core_v1 import PodCondition, PodIP, PodStatus
from minikube.api.meta import replace_meta
from minikube.node.pod.publishing import difference, newer, overlaid
from tests.unit.node.seen import pod

READY = PodCondition(type="Ready", status="True")
UNREADY = PodCondition(type="Ready", status="False", reason="ContainersNotReady")
FOREIGN = PodCondition(type="example.com/gate", status="True")
PENDING = PodCondition(type="PodResizePending", status="True", reason="Deferred")
DISRUPTED = PodCondition(type="DisruptionTarget", status="True", reason="TerminationByKubelet")


def test_nothing_is_written_when_nothing_differs() -> None:
    assert difference(PodStatus(phase="Running"), PodStatus(phase="Running")) == {}


def test_only_what_differs_is_written_and_what_is_unset_is_removed() -> None:
    before, after = PodStatus(phase="Failed", reason="Evicted"), PodStatus(phase="Running")
    assert difference(before, after) == {"phase": "Running", "reason": None}


def test_a_condition_loses_the_fields_that_it_has_no_more() -> None:
    found = difference(PodStatus(conditions=(UNREADY,)), PodStatus(conditions=(READY,)))
    assert found == {"conditions": [{"type": "Ready", "status": "True", "reason": None}]}


def test_conditions_of_others_are_neither_changed_nor_removed() -> None:
    assert difference(PodStatus(conditions=(READY, FOREIGN)), PodStatus(conditions=(READY,))) == {}


def test_our_own_passing_conditions_are_removed() -> None:
    found = difference(PodStatus(conditions=(PENDING,)), PodStatus())
    assert found == {"conditions": [{"type": "PodResizePending", "$patch": "delete"}]}


def test_a_disruption_is_told_once() -> None:
    told = PodStatus(conditions=(DISRUPTED,))
    assert [each["type"] for each in difference(PodStatus(), told)["conditions"]] == ["DisruptionTarget"]
    later = replace(DISRUPTED, message="other words")
    assert difference(told, PodStatus(conditions=(later,))) == {}


def test_an_old_address_goes_when_a_new_one_comes() -> None:
    found = difference(PodStatus(pod_ips=(PodIP(ip="10.0.0.1"),)), PodStatus(pod_ips=(PodIP(ip="10.0.0.2"),)))
    assert found == {"podIPs": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1", "$patch": "delete"}]}


def test_our_status_counts_before_the_api_has_it_but_not_the_conditions_of_others() -> None:
    api = replace(pod(), status=PodStatus(phase="Pending", conditions=(UNREADY, FOREIGN)))
    found = overlaid(api, PodStatus(phase="Running", conditions=(READY,))).status
    assert (found.phase, found.conditions) == ("Running", (READY, FOREIGN))


def test_a_terminal_phase_that_somebody_else_decided_holds() -> None:
    api = replace(pod(), status=PodStatus(phase="Failed", reason="NodeLost"))
    found = overlaid(api, PodStatus(phase="Running")).status
    assert (found.phase, found.reason) == ("Failed", "NodeLost")


def test_the_newer_of_two_objects_has_the_higher_revision() -> None:
    old, new = replace_meta(pod(), resource_version="9"), replace_meta(pod(), resource_version="10")
    assert newer(old, new) is new
    assert newer(new, old) is new
    assert newer(old, None) is old
