"""From an object and a patch to the patched object. Errors are worded as kube-apiserver's patch handler does."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

import msgspec

from minikube.client.base import PatchType
from minikube.errors import BadRequest, Invalid, TooLarge, UnsupportedMediaType
from minikube.registry.base import Request
from minikube.registry.shape import Shape
from minikube.registry.strictness import patch_error
from minikube.resources.base import Kind, Obj, ReadOnlyObj
from minikube.schema.clean import found
from minikube.schema.patch import PatchError, json_patch, merge_patch
from minikube.schema.strategic import strategic_merge

MAX_OPERATIONS = 10_000
FIELDS = ("op", "path", "from", "value")
DECODING, MAP = "error decoding patch: ", "map[string]interface {}"
DECODING_YAML = "error decoding YAML: error unmarshaling JSON: while decoding JSON: "
NO_MERGE = "Invalid JSON Patch"
INAPPLICABLE = "the server rejected our request due to an error in our request"
"""All that is told of operations that do not apply."""
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
    """Raises BadRequest, Invalid, TooLarge or UnsupportedMediaType; never changes `present`."""
    if type is not PatchType.APPLY:
        return patched(shape, present, patch, type)
    return shape.apply(present, copy.deepcopy(patch), request, subresource, now)


def check_patch(patch: Any, type: PatchType, request: Request) -> Request:
    """The request, which knows what is wrong with the operations of a JSON patch. Raises BadRequest for what is no
    patch of this type at all."""
    lenient = request.field_validation == "Ignore"
    if type is PatchType.JSON:
        if not isinstance(patch, list | None):
            into = "jsonpatch.Patch" if lenient else "[]handlers.jsonPatchOp"
            raise BadRequest(f"{'' if lenient else DECODING}{_cannot(patch, into)}")
        return request if lenient else _checked_operations(patch or [], request)
    if not isinstance(patch, dict | None) or (patch is None and type is PatchType.APPLY):
        words = {
            PatchType.MERGE: NO_MERGE if lenient else DECODING + _cannot(patch, MAP),
            PatchType.APPLY: DECODING_YAML + _cannot(patch, MAP),
        }
        raise BadRequest(words.get(type) or _cannot(patch, MAP))
    return request


def _cannot(value: Any, into: str) -> str:
    return f"json: cannot unmarshal {found(value)} into Go value of type {into}"


def _checked_operations(patch: list[Any], request: Request) -> Request:
    told = [f"json patch {one}" for one in request.duplicates]
    for index, operation in enumerate(patch):
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise BadRequest(DECODING + _cannot(operation, "handlers.jsonPatchOp"))
        for field, value in operation.items():
            if field not in FIELDS:
                told.append(f'json patch unknown field "[{index}].{field}"')
            elif field != "value" and not isinstance(value, str | None):
                where = f"Go struct field jsonPatchOp.{field} of type string"
                raise BadRequest(f"{DECODING}json: cannot unmarshal {found(value)} into {where}")
    return msgspec.structs.replace(request, duplicates=told) if told else request


def patched(shape: Shape, present: ReadOnlyObj, patch: Any, type: PatchType) -> Obj:
    """What a patch that says how to change an object makes of it. Raises as `apply_patch`."""
    doc = copy.deepcopy(dict(present))
    try:
        if type is PatchType.JSON:
            operations = patch or []
            if len(operations) > MAX_OPERATIONS:
                most = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
                raise TooLarge(f"Request entity too large: {most}")
            made = json_patch(doc, operations)
        elif type is PatchType.MERGE:
            made = merge_patch(doc, patch or {})
        elif shape.custom:
            raise UnsupportedMediaType(NO_STRATEGIC)
        else:
            made = strategic_merge(doc, patch or {}, shape.structure)
    except PatchError as error:
        if type is PatchType.JSON:
            raise Invalid(INAPPLICABLE) from error
        raise BadRequest(str(error)) from error
    if not isinstance(made, dict):
        raise patch_error(msgspec.json.encode(made).decode(), _cannot(made, MAP))
    return made
