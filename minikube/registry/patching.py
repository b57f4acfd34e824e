"""From an object and a patch to the patched object. Errors are worded as kube-apiserver's patch handler does."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from minikube.client.base import PatchType
from minikube.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType
from minikube.registry.base import Request
from minikube.registry.shape import Shape
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.patch import PatchError, json_patch, merge_patch
from minikube.schema.strategic import strategic_merge

MAX_OPERATIONS = 10_000
NO_STRATEGIC = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
)


def apply_patch(
    kind: Kind,
    shape: Shape,
    present: ReadOnlyObj,
    patch: Any,
    type: PatchType,
    request: Request,
    subresource: str,
    now: datetime,
) -> Obj:
    """Raises BadRequest, Invalid or UnsupportedMediaType; never changes `present`."""
    if type is not PatchType.APPLY:
        return patched(kind, shape, present, patch, type)
    if not isinstance(patch, dict):
        raise BadRequest(f"error decoding patch: a {type.value} is an object")
    return shape.apply(present, copy.deepcopy(patch), request, subresource, now)


def patched(kind: Kind, shape: Shape, present: ReadOnlyObj, patch: Any, type: PatchType) -> Obj:
    """What a patch that says how to change an object makes of it. Raises as `apply_patch`."""
    doc = copy.deepcopy(dict(present))
    try:
        if type is PatchType.JSON:
            if not isinstance(patch, list):
                raise BadRequest("error decoding patch: a JSON patch is a list of operations")
            if len(patch) > MAX_OPERATIONS:
                raise BadRequest(
                    f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}"
                )
            made = json_patch(doc, patch)
        elif not isinstance(patch, dict):
            raise BadRequest(f"error decoding patch: a {type.value} is an object")
        elif type is PatchType.MERGE:
            made = merge_patch(doc, patch)
        elif type is PatchType.STRATEGIC:
            if shape.custom:
                raise UnsupportedMediaType(NO_STRATEGIC)
            made = strategic_merge(doc, patch, shape.structure)
        else:
            raise UnsupportedMediaType(f"unsupported patch type {type.value}")
    except PatchError as error:
        name = present["metadata"]["name"]
        if type is PatchType.JSON:
            cause = FieldError("patch", "FieldValueInvalid", str(error))
            raise Invalid.of(kind.resource.kind, kind.resource.group, name, [cause]) from error
        raise BadRequest(f"error applying patch: {error}") from error
    if not isinstance(made, dict):
        raise BadRequest("the patched object is not an object")
    return made
