"""autoscaling/v1 <-> v2: what v1 has no words for travels in annotations, as upstream has it."""

from __future__ import annotations

import json
from typing import Any

from minikube.resources.base import Obj

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_KEPT = (_METRICS, _BEHAVIOR, _CURRENT, _CONDITIONS)


def _is_cpu_utilization(metric: Any) -> bool:
    resource = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and (resource.get("target") or {}).get("averageUtilization") is not None
    )


def _tree(annotations: dict[str, Any], name: str) -> Any:
    try:
        return json.loads(annotations[name]) if name in annotations else None
    except ValueError:
        return None


def _without_kept(metadata: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _KEPT}
    out = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**out, "annotations": kept} if kept else out


def to_v2(hpa: Obj) -> Obj:
    annotations = (hpa.get("metadata") or {}).get("annotations") or {}
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    metrics = list(_tree(annotations, _METRICS) or ())
    if (percent := spec.pop("targetCPUUtilizationPercentage", None)) is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if behavior := _tree(annotations, _BEHAVIOR):
        spec["behavior"] = behavior
    current = list(_tree(annotations, _CURRENT) or ())
    if (percent := status.pop("currentCPUUtilizationPercentage", None)) is not None:
        value = {"averageUtilization": percent}
        current.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": value}})
    if current:
        status["currentMetrics"] = current
    if conditions := _tree(annotations, _CONDITIONS):
        status["conditions"] = conditions
    return _made(hpa, "autoscaling/v2", _without_kept(dict(hpa.get("metadata") or {})), spec, status)


def from_v2(hpa: Obj) -> Obj:
    metadata = _without_kept(dict(hpa.get("metadata") or {}))
    spec, status = dict(hpa.get("spec") or {}), dict(hpa.get("status") or {})
    kept: dict[str, Any] = {}
    others = []
    for metric in spec.pop("metrics", None) or ():
        if _is_cpu_utilization(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric)
    currents = []
    for metric in status.pop("currentMetrics", None) or ():
        resource = metric.get("resource") or {}
        percent = (resource.get("current") or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and percent is not None:
            status["currentCPUUtilizationPercentage"] = percent
        currents.append(metric)
    for name, value in (
        (_METRICS, others),
        (_BEHAVIOR, spec.pop("behavior", None)),
        (_CURRENT, currents),
        (_CONDITIONS, status.pop("conditions", None)),
    ):
        if value:
            kept[name] = json.dumps(value, separators=(",", ":"))
    if kept:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **kept}
    return _made(hpa, "autoscaling/v1", metadata, spec, status)


def _made(hpa: Obj, version: str, metadata: Obj, spec: Obj, status: Obj) -> Obj:
    out = {**hpa, "apiVersion": version, "metadata": metadata, "spec": spec}
    if status or "status" in hpa:
        out["status"] = status
    return out
