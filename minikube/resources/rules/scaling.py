"""What autoscalers and disruption budgets may say (pkg/apis/autoscaling, pkg/apis/policy validation)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api import autoscaling_v1, quantity
from minikube.api.autoscaling_v2 import (
    HorizontalPodAutoscaler,
    HPAScalingRules,
    MetricSpec,
    MetricTarget,
)
from minikube.api.meta import Quantity
from minikube.api.names import path_segment_problems
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.errors import FieldError
from minikube.kit.structs import fields
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.conditions import conditions
from minikube.resources.rules.invalid import (
    at,
    forbidden,
    invalid,
    not_negative,
    not_supported,
    required,
)
from minikube.resources.rules.labelling import at_most_all, count_or_percent, label_selector

_SOURCES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_HOUR, _WINDOW = 1800, 3600


def _replicas(least: int | None, most: int) -> Iterator[FieldError]:
    if least is not None and least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")


def _target(kind: str, name: str, path: str) -> Iterator[FieldError]:
    if not kind:
        yield required(f"{path}.kind")
    else:
        for why in path_segment_problems(kind):
            yield invalid(f"{path}.kind", kind, why)
    if not name:
        yield required(f"{path}.name")
    else:
        for why in path_segment_problems(name):
            yield invalid(f"{path}.name", name, why)


class AutoscalerRules(Strategy[HorizontalPodAutoscaler]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"desiredReplicas": 0}

    def validate(self, new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from _replicas(spec.min_replicas, spec.max_replicas)
        yield from _target(spec.scale_target_ref.kind, spec.scale_target_ref.name, "spec.scaleTargetRef")
        for index, metric in enumerate(spec.metrics):
            yield from _metric(metric, at("spec.metrics", index))
        if spec.behavior:
            for name, rules in (("scaleUp", spec.behavior.scale_up), ("scaleDown", spec.behavior.scale_down)):
                if rules is not None:
                    yield from _scaling(rules, f"spec.behavior.{name}")

    def validate_status(self, new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> Iterator[FieldError]:
        yield from not_negative("status.currentReplicas", new.status.current_replicas)
        yield from not_negative("status.desiredReplicas", new.status.desired_replicas)


class AutoscalerV1Rules(Strategy[autoscaling_v1.HorizontalPodAutoscaler]):
    def validate(
        self, new: autoscaling_v1.HorizontalPodAutoscaler, old: autoscaling_v1.HorizontalPodAutoscaler | None
    ) -> Iterator[FieldError]:
        spec = new.spec
        yield from _replicas(spec.min_replicas, spec.max_replicas)
        yield from _target(spec.scale_target_ref.kind, spec.scale_target_ref.name, "spec.scaleTargetRef")
        percent = spec.target_cpu_utilization_percentage
        if percent is not None and percent < 1:
            yield invalid("spec.targetCPUUtilizationPercentage", percent, "must be greater than 0")


def _metric(metric: MetricSpec, path: str) -> Iterator[FieldError]:
    if not metric.type:
        yield required(f"{path}.type", "must specify a metric source type")
    elif metric.type not in _SOURCES:
        yield not_supported(f"{path}.type", metric.type, _SOURCES)
    given = [
        one.encode_name
        for one in fields(MetricSpec)
        if one.name != "type" and getattr(metric, one.name) is not None
    ]
    expected = metric.type[:1].lower() + metric.type[1:]
    if metric.type in _SOURCES and expected not in given:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    for name in given:
        if name != expected:
            yield forbidden(f"{path}.{name}", "must populate the given metric source only")
    if metric.resource:
        yield from _named(metric.resource.name, f"{path}.resource.name", "must specify a resource name")
        yield from _resource_target(metric.resource.target, f"{path}.resource.target")
    if metric.container_resource:
        where = f"{path}.containerResource"
        yield from _named(metric.container_resource.name, f"{where}.name", "must specify a resource name")
        yield from _named(metric.container_resource.container, f"{where}.container", "must specify a container")
        yield from _resource_target(metric.container_resource.target, f"{where}.target")
    if metric.pods:
        yield from _named(metric.pods.metric.name, f"{path}.pods.metric.name", "must specify a metric name")
        yield from _positive(metric.pods.target, f"{path}.pods.target")
        if metric.pods.target.average_value is None:
            yield required(f"{path}.pods.target.averageValue", "must specify a positive target averageValue")
    if metric.object:
        where = f"{path}.object"
        described = metric.object.described_object
        yield from _target(described.kind, described.name, f"{where}.describedObject")
        yield from _named(metric.object.metric.name, f"{where}.metric.name", "must specify a metric name")
        yield from _positive(metric.object.target, f"{where}.target")
        yield from _some_value(metric.object.target, f"{where}.target")
    if metric.external:
        where = f"{path}.external"
        yield from _named(metric.external.metric.name, f"{where}.metric.name", "must specify a metric name")
        yield from label_selector(metric.external.metric.selector, f"{where}.metric.selector")
        yield from _positive(metric.external.target, f"{where}.target")
        yield from _some_value(metric.external.target, f"{where}.target")
        if metric.external.target.value is not None and metric.external.target.average_value is not None:
            why = "may not set both a target value for metric and a per-pod target"
            yield forbidden(f"{where}.target.value", why)


def _some_value(target: MetricTarget, path: str) -> Iterator[FieldError]:
    if target.value is None and target.average_value is None:
        yield required(f"{path}.averageValue", "must set either a target value for metric or a per-pod target")


def _named(name: str, path: str, why: str) -> Iterator[FieldError]:
    if not name:
        yield required(path, why)


def _is_positive(amount: Quantity) -> bool:
    return not quantity.valid(amount) or quantity.parse(amount) > 0


def _positive(target: MetricTarget, path: str) -> Iterator[FieldError]:
    if not target.type:
        yield required(f"{path}.type", "must specify a metric target type")
    if target.type not in ("AverageValue", "Utilization", "Value"):
        yield invalid(f"{path}.type", target.type, "must be either Utilization, Value, or AverageValue")
    for name, amount in (("value", target.value), ("averageValue", target.average_value)):
        if amount is not None and not _is_positive(amount):
            yield invalid(f"{path}.{name}", quantity.canonical(amount), "must be positive")
    if target.average_utilization is not None and target.average_utilization < 1:
        yield invalid(f"{path}.averageUtilization", target.average_utilization, "must be greater than 0")


def _resource_target(target: MetricTarget, path: str) -> Iterator[FieldError]:
    yield from _positive(target, path)
    if target.average_utilization is None and target.average_value is None:
        why = "must set either a target raw value or a target utilization"
        yield required(f"{path}.averageUtilization", why)
    elif target.average_utilization is not None and target.average_value is not None:
        why = "may not set both a target raw value and a target utilization"
        yield forbidden(f"{path}.averageValue", why)


def _scaling(rules: HPAScalingRules, path: str) -> Iterator[FieldError]:
    window = rules.stabilization_window_seconds
    yield from not_negative(f"{path}.stabilizationWindowSeconds", window)
    if window is not None and window > _WINDOW:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, f"must be less than or equal to {_WINDOW}")
    if rules.tolerance is not None and quantity.parse(rules.tolerance) < 0:
        why = "must be greater than or equal to 0"
        yield invalid(f"{path}.tolerance", quantity.canonical(rules.tolerance), why)
    choices = ("Disabled", "Max", "Min")
    if rules.select_policy and rules.select_policy not in choices:
        yield not_supported(f"{path}.selectPolicy", rules.select_policy, choices)
    if not rules.policies:
        yield required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(rules.policies):
        where = at(f"{path}.policies", index)
        if policy.type not in ("Percent", "Pods"):
            yield not_supported(f"{where}.type", policy.type, ("Percent", "Pods"))
        if policy.value <= 0:
            yield invalid(f"{where}.value", policy.value, "must be greater than zero")
        if policy.period_seconds <= 0:
            yield invalid(f"{where}.periodSeconds", policy.period_seconds, "must be greater than zero")
        if policy.period_seconds > _HOUR:
            yield invalid(f"{where}.periodSeconds", policy.period_seconds, f"must be less than or equal to {_HOUR}")


class DisruptionBudgetRules(Strategy[PodDisruptionBudget]):
    def prepare_create(self, new: Obj) -> None:
        counts = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
        new["status"] = dict.fromkeys(counts, 0)

    def validate(self, new: PodDisruptionBudget, old: PodDisruptionBudget | None) -> Iterator[FieldError]:
        spec = new.spec
        if spec.min_available is not None and spec.max_unavailable is not None:
            yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
        for name, value in (("minAvailable", spec.min_available), ("maxUnavailable", spec.max_unavailable)):
            if value is not None:
                yield from count_or_percent(value, f"spec.{name}")
                yield from at_most_all(value, f"spec.{name}")
        yield from label_selector(spec.selector, "spec.selector")
        policies: Sequence[str] = ("AlwaysAllow", "IfHealthyBudget")
        if spec.unhealthy_pod_eviction_policy and spec.unhealthy_pod_eviction_policy not in policies:
            path = "spec.unhealthyPodEvictionPolicy"
            yield not_supported(path, spec.unhealthy_pod_eviction_policy, policies)

    def validate_status(self, new: PodDisruptionBudget, old: PodDisruptionBudget) -> Iterator[FieldError]:
        status = new.status
        yield from conditions(status.conditions, "status.conditions")
        yield from not_negative("status.disruptionsAllowed", status.disruptions_allowed)
        yield from not_negative("status.currentHealthy", status.current_healthy)
        yield from not_negative("status.desiredHealthy", status.desired_healthy)
        yield from not_negative("status.expectedPods", status.expected_pods)
