"""What is said of fields that a request sends although the schema has none such, or that it sends twice.

Rules: fieldValidation Ignore, Warn and Strict (apiserver's transformDecodeError, patch handler and field manager).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from minikube.errors import BadRequest, FieldError, Invalid
from minikube.registry.base import Request
from minikube.resources.base import Kind, ReadOnlyObj
from minikube.schema.patch import go_value
from minikube.schema.structure import Structure
from minikube.schema.typed import doubled, spelled

YAML_ERRORS = "error converting YAML to JSON: yaml: unmarshal errors:\n  "


def check_object(kind: Kind, unknown: Sequence[str], request: Request) -> None:
    """Of an object that was sent whole. Raises BadRequest under Strict."""
    told = _told(unknown, request)
    if told and request.field_validation == "Strict":
        resource = kind.resource
        raise BadRequest(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(told)}"
        )
    _warn(told, request)


def check_patched(patched: ReadOnlyObj, unknown: Sequence[str], request: Request, sent: ReadOnlyObj | None) -> None:
    """Of what a JSON, merge or strategic merge patch made; `sent`: the latter. Raises Invalid under Strict."""
    told = _told(unknown, request)
    if told and request.field_validation == "Strict":
        raise patch_error(shown_patch(patched, sent), f"strict decoding error: {', '.join(told)}")
    _warn(told, request)


def shown_patch(patched: ReadOnlyObj, sent: ReadOnlyObj | None) -> str:
    """What errors show: a strategic merge patch itself, of the others what came of it."""
    return msgspec.json.encode(patched).decode() if sent is None else go_value(sent)


def patch_error(shown: str, why: str) -> Invalid:
    quoted = msgspec.json.encode(shown).decode()
    return Invalid.of("", "", "", [FieldError("patch", "FieldValueInvalid", f"Invalid value: {quoted}: {why}")])


def check_applied(
    kind: Kind, structure: Structure, patch: ReadOnlyObj, unknown: Sequence[str], request: Request
) -> None:
    """Of an apply patch, which may name no field that is not in the schema at all, and no element of a keyed list
    twice. Raises BadRequest."""
    told = [f"{spelled(path, patch, structure)}: field not declared in schema" for path in unknown]
    told += doubled(patch, structure)
    if told:
        resource, metadata = kind.resource, patch["metadata"]
        whose = "/".join(filter(None, (metadata.get("namespace", ""), metadata["name"])))
        listed = told[0] if len(told) == 1 else "errors:\n" + "\n".join(f"  {one}" for one in told)
        raise BadRequest(
            f"failed to create typed patch object ({whose}; {resource.api_version}, Kind={resource.kind}): {listed}"
        )
    if not request.duplicates:
        return
    if request.field_validation == "Strict":
        raise BadRequest("error strict decoding YAML: " + YAML_ERRORS + "\n  ".join(request.duplicates))
    _warn([YAML_ERRORS + "\n  ".join(request.duplicates)], request)


def _told(unknown: Sequence[str], request: Request) -> list[str]:
    if request.field_validation == "Ignore":
        return []
    return [*(f'unknown field "{path}"' for path in unknown), *request.duplicates]


def _warn(told: Sequence[str], request: Request) -> None:
    if request.field_validation == "Warn":
        request.warnings.extend(told)
