"""autoscaling: horizontal pod autoscalers in v2 (stored) and v1, and Scale."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api import autoscaling_v1, autoscaling_v2
from minikube.api.autoscaling_v2 import HorizontalPodAutoscaler, MetricSpec, MetricTarget, MetricValueStatus
from minikube.api.meta import Quantity
from minikube.api.quantity import canonical
from minikube.resources.autoscaling_v1 import from_v2, to_v2
from minikube.resources.declare import NONE, UNKNOWN, UNSET, columns, declare, number, since
from minikube.resources.rules.scaling import AutoscalerRules, AutoscalerV1Rules

_SHOWN = 2


def _amount(amount: Quantity | None) -> str:
    return UNKNOWN if amount is None else canonical(amount)


def _resource(name: str, target: MetricTarget, current: MetricValueStatus | None) -> str:
    if target.average_value is not None:
        have = _amount(current.average_value if current else None)
        return f"{name}: {have}/{canonical(target.average_value)}"
    have = f"{current.average_utilization}%" if current and current.average_utilization is not None else UNKNOWN
    want = "<auto>" if target.average_utilization is None else f"{target.average_utilization}%"
    return f"{name}: {have}/{want}"


def _plain(target: MetricTarget, current: MetricValueStatus | None) -> str:
    if target.average_value is not None:
        return f"{_amount(current.average_value if current else None)}/{canonical(target.average_value)} (avg)"
    return f"{_amount(current.value if current else None)}/{_amount(target.value)}"


def _metric(hpa: HorizontalPodAutoscaler, index: int, metric: MetricSpec) -> str:
    found = hpa.status.current_metrics
    status = found[index] if index < len(found) and found[index].type == metric.type else None
    if metric.resource:
        of = status.resource if status else None
        return _resource(metric.resource.name, metric.resource.target, of.current if of else None)
    if metric.container_resource:
        inside = status.container_resource if status else None
        source = metric.container_resource
        return _resource(source.name, source.target, inside.current if inside else None)
    if metric.pods:
        pods = status.pods if status else None
        have = _amount(pods.current.average_value if pods else None)
        return f"{have}/{_amount(metric.pods.target.average_value)}"
    if metric.object:
        about = status.object if status else None
        return _plain(metric.object.target, about.current if about else None)
    if metric.external:
        outside = status.external if status else None
        return _plain(metric.external.target, outside.current if outside else None)
    return "<unknown type>"


def _targets(hpa: HorizontalPodAutoscaler) -> str:
    found = [_metric(hpa, index, metric) for index, metric in enumerate(hpa.spec.metrics)]
    if not found:
        return NONE
    text = ", ".join(found[:_SHOWN])
    return f"{text} + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else text


def hpa_row(hpa: HorizontalPodAutoscaler, now: datetime) -> Sequence[Any]:
    spec = hpa.spec
    return (
        hpa.metadata.name,
        f"{spec.scale_target_ref.kind}/{spec.scale_target_ref.name}",
        _targets(hpa),
        UNSET if spec.min_replicas is None else str(spec.min_replicas),
        spec.max_replicas,
        number(hpa.status.current_replicas),
        since(hpa, now),
    )


def hpa_v1_row(hpa: autoscaling_v1.HorizontalPodAutoscaler, now: datetime) -> Sequence[Any]:
    spec, status = hpa.spec, hpa.status
    have, want = status.current_cpu_utilization_percentage, spec.target_cpu_utilization_percentage
    target = NONE if want is None else f"cpu: {UNKNOWN if have is None else f'{have}%'}/{want}%"
    return (
        hpa.metadata.name,
        f"{spec.scale_target_ref.kind}/{spec.scale_target_ref.name}",
        target,
        UNSET if spec.min_replicas is None else str(spec.min_replicas),
        spec.max_replicas,
        status.current_replicas,
        since(hpa, now),
    )


def scale_row(scale: autoscaling_v1.Scale, now: datetime) -> Sequence[Any]:
    return scale.metadata.name, number(scale.spec.replicas), scale.status.replicas, since(scale, now)


_COLUMNS = columns("Name", "Reference", "Targets", "MinPods", "MaxPods:integer", "Replicas:integer", "Age")

KINDS = (
    declare(
        HorizontalPodAutoscaler,
        strategy=AutoscalerRules(),
        short_names=("hpa",),
        categories=("all",),
        status=True,
        columns=_COLUMNS,
        row=hpa_row,
    ),
    declare(
        autoscaling_v1.HorizontalPodAutoscaler,
        strategy=AutoscalerV1Rules(),
        short_names=("hpa",),
        categories=("all",),
        status=True,
        columns=_COLUMNS,
        row=hpa_v1_row,
        stored_as=autoscaling_v2.HorizontalPodAutoscaler.resource,
        to_stored=to_v2,
        from_stored=from_v2,
    ),
)

SCALE_COLUMNS = columns("Name", "Desired:integer", "Available:integer", "Age")
