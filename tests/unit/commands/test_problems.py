"""What `minikube status` finds wrong with nodes and pods, in its words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minikube.api.core_v1 import Event, Node, Pod
from minikube.api.meta import from_dict
from minikube.commands import problems

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def pod(age: float = 60, **status: Any) -> Pod:
    born = (NOW - timedelta(seconds=age)).isoformat()
    metadata = {"name": "web", "namespace": "shop", "uid": "u1", "creationTimestamp": born}
    return from_dict(Pod, {"metadata": metadata, "status": {"phase": "Running", **status}})


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}]}


def said(of: Pod, warnings: dict[str, str] | None = None) -> list[str]:
    return list(problems.of_pod(of, NOW, warnings or {}))


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (pod(phase="Succeeded"), []),
        (pod(conditions=[{"type": "Ready", "status": "True"}]), []),
        (pod(5), []),
        (pod(60), ["is not Ready"]),
        (pod(5, **waiting("ContainerCreating")), []),
        (pod(5, **waiting("ImagePullBackOff", "gone")), ["container c: ImagePullBackOff: gone"]),
        (pod(phase="Failed", reason="Evicted", message="disk"), ["Evicted: disk"]),
        (
            pod(phase="Failed", containerStatuses=[{"name": "c", "state": {"terminated": {"exitCode": 3}}}]),
            ["failed: container c exited with 3"],
        ),
        (
            pod(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}
                ],
            ),
            ["Unschedulable: 0/1"],
        ),
    ],
)
def test_a_pod_that_does_not_run_says_why(of: Pod, words: list[str]):
    assert said(of) == [f"pod shop/web: {each}" for each in words]


def test_the_last_warning_explains_what_takes_too_long():
    def event(minute: int, type: str, message: str) -> Event:
        at = (NOW - timedelta(minutes=minute)).isoformat()
        fields = {"type": type, "reason": "FailedMount", "message": message, "lastTimestamp": at}
        return from_dict(Event, {"metadata": {"name": message}, "involvedObject": {"uid": "u1"}, **fields})

    events = [event(3, "Warning", "old"), event(1, "Warning", "new"), event(0, "Normal", "fine")]
    found = problems.last_warnings(events)
    assert said(pod(60), found) == ["pod shop/web: is not Ready: FailedMount: new"]


def test_a_node_says_what_it_lacks():
    def node(*conditions: dict[str, str]) -> Node:
        return from_dict(Node, {"metadata": {"name": "n"}, "status": {"conditions": list(conditions)}})

    ready = {"type": "Ready", "status": "True"}
    pressure = {"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}
    assert list(problems.of_node(node(ready))) == []
    assert list(problems.of_node(node())) == ["node n is not Ready: it has never reported"]
    assert list(problems.of_node(node(ready, pressure))) == ["node n has DiskPressure: kubelet has disk pressure"]
    unknown = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "gone"}
    assert list(problems.of_node(node(unknown))) == ["node n is not Ready: NodeStatusUnknown: gone"]
