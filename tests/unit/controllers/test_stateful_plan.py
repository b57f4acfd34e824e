"""The next step of a StatefulSet, purely: what broken pods hold up, and what not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from minikube.api.apps_v1 import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from minikube.api.core_v1 import Pod, PodCondition, PodStatus
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.controllers.statefulset import plan, status_of
from tests.fakes.cluster import template

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def web(replicas: int, policy: str, most: int | None = None) -> StatefulSet:
    rolling = RollingUpdateStatefulSetStrategy(max_unavailable=most)
    spec = StatefulSetSpec(
        replicas=replicas,
        selector=LabelSelector(match_labels={"app": "web"}),
        template=template(),
        pod_management_policy=policy,
        update_strategy=StatefulSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling),
    )
    return StatefulSet(metadata=ObjectMeta(name="web", namespace="default"), spec=spec)


def pods(states: str) -> dict[int, Pod]:
    """A letter a pod: `n`ew or `o`ld template and fine, upper case for one that is not ready, `.` for none."""
    found = {}
    for number, state in enumerate(states):
        labels = {"app": "web", "controller-revision-hash": "web-new" if state in "nN" else "web-old"}
        ready = PodCondition(type="Ready", status="True" if state.islower() else "False")
        if state != ".":
            found[number] = Pod(
                metadata=ObjectMeta(name=f"web-{number}", namespace="default", labels=labels),
                status=PodStatus(phase="Running", conditions=(ready,)),
            )
    return found


@pytest.mark.parametrize(
    ("policy", "most", "states", "replicas", "gone"),
    [
        # Scaling down: the last one, unless it and one before it are broken.
        ("OrderedReady", None, "nnn", 1, [2]),
        ("OrderedReady", None, "nnN", 1, [2]),
        ("OrderedReady", None, "nNN", 1, []),
        ("OrderedReady", None, "NNN", 0, []),
        ("OrderedReady", None, "nNn", 1, [2]),
        ("OrderedReady", None, "Nnn", 1, []),
        ("Parallel", None, "NNN", 1, [2, 1]),
        # Rolling out, from the last one.
        ("OrderedReady", None, "ooo", 3, [2]),
        ("OrderedReady", None, "oon", 3, [1]),
        ("OrderedReady", None, "ooN", 3, []),
        ("OrderedReady", None, "oOo", 3, []),
        ("OrderedReady", None, "ooO", 3, [2]),
        ("OrderedReady", 2, "oooo", 4, [3, 2]),
        ("Parallel", 2, "oooo", 4, [3, 2]),
        ("Parallel", 1, "Nooo", 4, []),
        ("Parallel", 1, "oOoo", 4, [1]),
        ("Parallel", 2, "oOoo", 4, [1, 3]),
        ("Parallel", 1, "nnnn", 4, []),
    ],
)
def test_which_pods_go(policy: str, most: int | None, states: str, replicas: int, gone: list[int]):
    todo = plan(web(replicas, policy, most), pods(states), "web-new", NOW)
    assert [int(pod.metadata.name.rpartition("-")[2]) for pod in todo.delete] == gone
    assert todo.create == ()


@pytest.mark.parametrize(
    ("states", "current"),
    [("nn", "web-old"), ("nnN", "web-old"), ("nno", "web-old"), ("nnn", "web-new"), ("nnnn", "web-old")],
)
def test_a_rollout_is_over_when_as_many_as_wanted_are_new_and_ready(states: str, current: str):
    found = status_of(web(3, "OrderedReady"), list(pods(states).values()), "web-old", "web-new", NOW)
    assert found.current_revision == current
