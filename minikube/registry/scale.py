"""/scale: how many replicas, of every kind that has them.

Rules: autoscaling/v1 Scale as upstream fills it; a write through it is a write of the replica count alone, with the
preconditions that the Scale states and a managedFields entry of the subresource (the ScaleREST of each workload).
"""

from __future__ import annotations

import copy
from typing import Any

from minikube.api.meta import from_dict
from minikube.api.meta_v1 import LabelSelector
from minikube.api.selectors import selector_text
from minikube.client.base import PatchType
from minikube.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType
from minikube.registry.base import Registry, Request, Stored
from minikube.registry.patching import NO_STRATEGIC, check_patch, patched
from minikube.registry.shape import shape_of
from minikube.registry.steps import clean
from minikube.registry.strictness import check_object
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.resources.subresources import SCALE
from minikube.schema.patch import merge_patch

PRECONDITIONS = ("uid", "resourceVersion")


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


async def put_scale(
    registry: Registry, kind: Kind, namespace: str, name: str, scale: Obj, request: Request
) -> Stored:
    """Raises BadRequest, Conflict, Invalid, NotFound."""
    patch = _wish(kind, name, scale, request)
    written = await registry.patch(kind, namespace, name, patch, PatchType.MERGE, request, subresource="scale")
    return written.object


async def patch_scale(
    registry: Registry, kind: Kind, namespace: str, name: str, patch: Any, type: PatchType, request: Request
) -> Stored:
    """Raises as `put_scale`, and UnsupportedMediaType for strategic merge patches of custom resources."""
    request = check_patch(patch, type, request)
    if type is PatchType.APPLY:
        return await _apply_scale(registry, kind, namespace, name, patch, request)
    if type is PatchType.STRATEGIC and kind.schema is not None:
        raise UnsupportedMediaType(NO_STRATEGIC)

    def change(present: ReadOnlyObj) -> Obj:
        scale = patched(shape_of(SCALE), scale_of(kind, present), patch, type)
        made: Obj = merge_patch(copy.deepcopy(dict(present)), _wish(kind, name, scale, request))
        return made

    return (await registry.change(kind, namespace, name, change, request, "scale")).object


async def _apply_scale(
    registry: Registry, kind: Kind, namespace: str, name: str, patch: Any, request: Request
) -> Stored:
    wish = _wish(kind, name, patch, request)
    if "replicas" not in (patch.get("spec") or {}):
        wish = {"metadata": wish["metadata"]}
    head = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
    whole = {**wish, **head, "metadata": {**wish["metadata"], "name": name}}
    written = await registry.patch(kind, namespace, name, whole, PatchType.APPLY, request, subresource="scale")
    return written.object


def _wish(kind: Kind, name: str, scale: Obj, request: Request) -> Obj:
    """The merge patch that this Scale asks for, with its preconditions. Raises BadRequest, Invalid."""
    check_object(SCALE, clean(SCALE, shape_of(SCALE), scale), request)
    given = (scale.get("metadata") or {}).get("name") or name
    if given != name:
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise Invalid.of("Scale", "autoscaling", name, [FieldError("spec.replicas", "FieldValueInvalid", why)])
    stated = scale.get("metadata") or {}
    metadata = {field: stated[field] for field in PRECONDITIONS if stated.get(field)}
    return {**replicas_patch(kind, replicas), "metadata": metadata}


def _at(obj: ReadOnlyObj, path: str) -> Any:
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
