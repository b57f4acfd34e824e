from typing import Any

import pytest

from minikube.api.core_v1 import Pod
from minikube.api.meta import from_dict
from minikube.node.kubelet.choose import NoLogs, logged_run, running_container
from minikube.node.pod.observed import Observed
from minikube.node.runtime.base import Container, State


def pod(**status: Any) -> Pod:
    return from_dict(
        Pod,
        {
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"containerStatuses": [{"name": "c", **status}]} if status else {},
        },
    )


def run(identifier: str, state: State = State.EXITED, attempt: int = 0) -> Container:
    return Container(identifier, "s", "u", "c", attempt, state)


SEEN = Observed(containers=(run("old"), run("new", State.RUNNING, 1)))
OLD = {"terminated": {"containerID": "containerd://old", "exitCode": 1}}
RUNNING = {"running": {}}
BACKING_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("status", "previous", "expected"),
    [
        ({"state": RUNNING, "containerID": "containerd://new", "lastState": OLD}, False, "new"),
        ({"state": RUNNING, "containerID": "containerd://new", "lastState": OLD}, True, "old"),
        ({"state": BACKING_OFF, "lastState": OLD}, False, "old"),
        ({"state": BACKING_OFF, "lastState": OLD}, True, "old"),
        ({"state": OLD}, False, "old"),
    ],
)
def test_the_status_says_which_run_is_shown(status: dict[str, Any], previous: bool, expected: str) -> None:
    assert logged_run(pod(**status), SEEN, "c", previous=previous).id == expected


@pytest.mark.parametrize(
    ("status", "previous", "message"),
    [
        ({}, False, 'container "c" in pod "p" is not available'),
        ({"state": RUNNING, "containerID": "x"}, True, 'previous terminated container "c" in pod "p" not found'),
        (
            {"state": {"waiting": {"reason": "ContainerCreating"}}},
            False,
            'container "c" in pod "p" is waiting to start: ContainerCreating',
        ),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff"}}},
            False,
            'container "c" in pod "p" is waiting to start: trying and failing to pull image',
        ),
        ({"state": {"terminated": {"exitCode": 1}}}, False, 'container "c" in pod "p" is terminated'),
    ],
)
def test_a_log_that_is_not_there_is_refused_as_the_kubelet_does(
    status: dict[str, Any], previous: bool, message: str
) -> None:
    with pytest.raises(NoLogs) as refused:
        logged_run(pod(**status), SEEN, "c", previous=previous)
    assert str(refused.value) == message


def test_only_a_running_container_can_be_entered() -> None:
    found = running_container(SEEN, "c")
    assert found is not None
    assert found.id == "new"
    assert running_container(Observed(containers=(run("old"),)), "c") is None
