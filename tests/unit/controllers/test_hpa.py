"""Autoscaling: how many replicas usage calls for, how fast they may come and go, and the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from minikube.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from minikube.api.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec,
    HPAScalingPolicy,
    HPAScalingRules,
    MetricSpec,
    MetricTarget,
    ResourceMetricSource,
)
from minikube.api.core_v1 import Container, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements
from minikube.api.meta import Key, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.auth.base import User
from minikube.controllers.base import After
from minikube.controllers.hpa import HorizontalController
from minikube.controllers.hpa_limits import Past, normalize
from minikube.controllers.hpa_replicas import NoMetrics, Sample, by_utilization, requests_of
from tests.fakes.cluster import Cluster, HandClock, template

CLOCK = HandClock()
WEB = Key("default", "web")


def a_pod(name: str, *, ready: bool = True, phase: str = "Running", cpu: str = "100m") -> Pod:
    started = CLOCK.now() - timedelta(hours=1)
    resources = ResourceRequirements(requests={"cpu": cpu} if cpu else {})
    condition = PodCondition(type="Ready", status="True" if ready else "False", last_transition_time=started)
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", labels={"app": "web"}),
        spec=PodSpec(containers=(Container(name="c", image="nginx", resources=resources),)),
        status=PodStatus(phase=phase, start_time=started, conditions=(condition,)),
    )


def samples(**used: int) -> Mapping[str, Sample]:
    return {name: Sample(value, CLOCK.now()) for name, value in used.items()}


@pytest.mark.parametrize(
    ("pods", "used", "expected"),
    [
        # 90 % and 110 % of requests, target 50 %: twice as many.
        ([a_pod("a"), a_pod("b")], {"a": 90, "b": 110}, 4),
        # Within a tenth of the target nothing happens.
        ([a_pod("a"), a_pod("b")], {"a": 52, "b": 53}, 2),
        # Idle: down to what is needed.
        ([a_pod("a"), a_pod("b")], {"a": 10, "b": 10}, 1),
        # A pod without figures counts as idle when growing …
        ([a_pod("a"), a_pod("b")], {"a": 150}, 3),
        # … and as fully used when shrinking.
        ([a_pod("a"), a_pod("b")], {"a": 5}, 2),
        # One that is just starting does not count as load, but as a pod.
        ([a_pod("a"), a_pod("b", phase="Pending")], {"a": 150, "b": 500}, 3),
    ],
)
def test_replicas_follow_utilization(pods: list[Pod], used: dict[str, int], expected: int) -> None:
    requests = requests_of(pods, "", "cpu")
    assert by_utilization(2, 50, pods, samples(**used), requests, "cpu", CLOCK.now()).replicas == expected


def test_utilization_needs_requests() -> None:
    with pytest.raises(NoMetrics, match="missing request for cpu in container c of Pod a"):
        requests_of([a_pod("a", cpu="")], "", "cpu")


def hpa(behavior: HorizontalPodAutoscalerBehavior | None = None, *, least: int = 1, most: int = 10) -> Any:
    source = ResourceMetricSource(name="cpu", target=MetricTarget(type="Utilization", average_utilization=50))
    return HorizontalPodAutoscaler(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=HorizontalPodAutoscalerSpec(
            min_replicas=least,
            max_replicas=most,
            scale_target_ref=CrossVersionObjectReference(api_version="apps/v1", kind="ReplicaSet", name="web"),
            metrics=(MetricSpec(type="Resource", resource=source),),
            behavior=behavior,
        ),
    )


def test_growth_is_doubling_and_bounded() -> None:
    allowed = normalize(hpa(most=100), 5, 50, Past(), 0.0)
    assert (allowed.replicas, allowed.limit and allowed.limit[0]) == (10, "ScaleUpLimit")
    allowed = normalize(hpa(most=7), 5, 50, Past(), 0.0)
    assert (allowed.replicas, allowed.limit and allowed.limit[0]) == (7, "TooManyReplicas")


def test_shrinking_waits_until_less_was_called_for_five_minutes_long() -> None:
    past = Past()
    assert normalize(hpa(), 5, 5, past, 0.0).replicas == 5
    waiting = normalize(hpa(), 5, 2, past, 299.0)
    assert (waiting.replicas, waiting.stabilized) == (5, "ScaleDownStabilized")
    assert normalize(hpa(), 5, 2, past, 301.0).replicas == 2


def test_a_behavior_sets_window_and_pace() -> None:
    down = HPAScalingRules(
        stabilization_window_seconds=0, policies=(HPAScalingPolicy(type="Pods", value=1, period_seconds=60),)
    )
    up = HPAScalingRules(select_policy="Disabled")
    one = hpa(HorizontalPodAutoscalerBehavior(scale_down=down, scale_up=up))
    past = Past()
    assert normalize(one, 5, 1, past, 0.0).replicas == 4
    past.changes.append((0.0, -1))
    assert normalize(one, 4, 1, past, 30.0).replicas == 4
    assert normalize(one, 4, 1, past, 61.0).replicas == 3
    assert normalize(one, 4, 9, past, 62.0).replicas == 4


async def test_a_busy_set_is_scaled_and_says_why() -> None:
    cluster = await Cluster.open()
    cluster.clock.at = CLOCK.now()
    spec = ReplicaSetSpec(
        replicas=2, selector=LabelSelector(match_labels={"app": "web"}), template=template(app="web")
    )
    await cluster.client.create(ReplicaSet(metadata=ObjectMeta(name="web", namespace="default"), spec=spec))
    for name in ("a", "b"):
        pod = a_pod(name)
        made = await cluster.client.create(pod)
        await cluster.client.update(msgspec.structs.replace(made, status=pod.status), subresource="status")
    await cluster.client.create(hpa())
    controller = HorizontalController(cluster.context())

    async def unavailable() -> HorizontalPodAutoscaler:
        assert await controller.reconcile(WEB) == After(15.0)
        return await cluster.client.get(HorizontalPodAutoscaler, "web", "default")

    said = {one.type: (one.status, one.reason) for one in (await unavailable()).status.conditions}
    assert said == {
        "AbleToScale": ("True", "SucceededGetScale"),
        "ScalingActive": ("False", "FailedGetResourceMetric"),
    }

    async def metrics(method: str, path: str, body: Any, user: User) -> Any:
        assert path == "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb"
        usage = [{"name": "c", "usage": {"cpu": "100m"}}]
        at = CLOCK.now().isoformat()
        return {
            "items": [
                {"metadata": {"name": name}, "timestamp": at, "window": "30s", "containers": usage}
                for name in ("a", "b")
            ]
        }

    cluster.registry.raw = metrics
    await cluster.clock.sleep(15)
    assert await controller.reconcile(WEB) == After(15.0)
    assert (await cluster.client.get(ReplicaSet, "web", "default")).spec.replicas == 4
    assert cluster.told.events[-1] == (
        "SuccessfulRescale",
        "New size: 4; reason: cpu resource utilization (percentage of request) above target",
    )
    status = (await cluster.client.get(HorizontalPodAutoscaler, "web", "default")).status
    assert (status.current_replicas, status.desired_replicas) == (2, 4)
    assert {one.type: one.reason for one in status.conditions} == {
        "AbleToScale": "SucceededRescale",
        "ScalingActive": "ValidMetricFound",
        "ScalingLimited": "DesiredWithinRange",
    }
    after = await controller.reconcile(WEB)
    assert after == After(15.0)
