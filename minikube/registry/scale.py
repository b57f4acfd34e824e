"""/scale: how many replicas, of every kind that has them. Rules: autoscaling/v1 Scale as upstream fills it."""

from __future__ import annotations

from typing import Any

from minikube.api.meta import from_dict
from minikube.api.meta_v1 import LabelSelector
from minikube.api.selectors import selector_text
from minikube.resources.base import Kind, Obj, ReadOnlyObj


def scale_of(kind: Kind, obj: ReadOnlyObj) -> Obj:
    """The autoscaling/v1 Scale that this object shows."""
    assert kind.scale is not None
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": _at(obj, kind.scale.status_replicas) or 0}
    selector = _at(obj, kind.scale.selector) or _at(obj, "spec.selector")
    if isinstance(selector, dict):
        struct = (
            from_dict(LabelSelector, selector)  # type: ignore[type-var]
            if "matchLabels" in selector or "matchExpressions" in selector
            else LabelSelector(match_labels=selector)
        )
        status["selector"] = selector_text(struct)
    elif isinstance(selector, str):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in kept if field in metadata},
        "spec": {"replicas": _at(obj, kind.scale.replicas) or 0},
        "status": status,
    }


def replicas_patch(kind: Kind, replicas: int) -> Obj:
    """The merge patch that sets the replica count."""
    assert kind.scale is not None
    patch: Any = replicas
    for part in reversed(kind.scale.replicas.split(".")):
        patch = {part: patch}
    out: Obj = patch
    return out


def _at(obj: ReadOnlyObj, path: str) -> Any:
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
