"""What a request about a kind says: its options, and the object or patch in its body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from minikube.api.meta import Resource
from minikube.apiserver.audit.trail import ANNOTATIONS
from minikube.apiserver.headers import told
from minikube.apiserver.negotiation import DELETE_OPTIONS, Body, decode_body, read_body
from minikube.apiserver.warnings import WARNINGS
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.errors import BadRequest, FieldError, Invalid, UnsupportedMediaType
from minikube.registry.base import DeleteOptions, ListOptions, Request, Selection, WatchOptions
from minikube.registry.patching import DECODING
from minikube.registry.shape import shape_of
from minikube.registry.steps import clean
from minikube.registry.strictness import check_object
from minikube.resources.base import Kind

PATCHES = {f"application/{type.value}": type for type in PatchType}


def request_of(request: web.BaseRequest, user: User, *, dry_run: tuple[str, ...] = ()) -> Request:
    """Who writes, and how; `dry_run` is what the body says of it. Raises Invalid."""
    query = request.query
    asked = [*query.getall("dryRun", []), *dry_run]
    if any(value != "All" for value in asked):
        cause = FieldError(
            "dryRun",
            "FieldValueNotSupported",
            f'Unsupported value: {msgspec.json.encode(asked).decode()}: supported values: "All"',
        )
        raise Invalid.of("CreateOptions", "meta.k8s.io", "", [cause])
    validation = query.get("fieldValidation", "") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        cause = FieldError(
            "fieldValidation",
            "FieldValueNotSupported",
            f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"',
        )
        raise Invalid.of("CreateOptions", "meta.k8s.io", "", [cause])
    agent = told(request.headers.get("User-Agent", "")).split("/")[0]
    return Request(
        user=user,
        dry_run=bool(asked),
        field_manager=query.get("fieldManager", "") or agent or "unknown",
        field_validation=validation,
        force=_flag(query, "force"),
        annotations=request.get(ANNOTATIONS, {}),
        warnings=request[WARNINGS],
    )


async def delete_options(request: web.BaseRequest) -> DeleteOptions:
    """From the body if there is one, else from the query. Raises BadRequest."""
    data = await request.read()
    if data:
        found = read_body(data, request.headers.get("Content-Type", ""), definition=DELETE_OPTIONS)
        found = {k: v for k, v in found.items() if v is not None} if isinstance(found, dict) else found
    else:
        query = request.query
        found = {
            name: query[name]
            for name in ("gracePeriodSeconds", "propagationPolicy", "orphanDependents")
            if name in query
        }
    try:
        return msgspec.convert(found, DeleteOptions, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"DeleteOptions: {error}") from error


def list_options(query: Mapping[str, str]) -> ListOptions:
    """Raises BadRequest."""
    return ListOptions(
        resource_version=query.get("resourceVersion", ""),
        resource_version_match=query.get("resourceVersionMatch", ""),
        limit=integer(query, "limit"),
        continue_=query.get("continue", ""),
    )


def watch_options(query: Mapping[str, str], name: str) -> WatchOptions:
    """Of a watch of the object of this name, or (without one) of all. Raises Invalid."""
    initial = query.get("sendInitialEvents") == "true"
    if initial and query.get("resourceVersionMatch") != "NotOlderThan":
        cause = FieldError(
            "resourceVersionMatch",
            "FieldValueForbidden",
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        )
        raise Invalid.of("ListOptions", "meta.k8s.io", "", [cause])
    return WatchOptions(
        resource_version=query.get("resourceVersion", ""),
        bookmarks=_flag(query, "allowWatchBookmarks"),
        send_initial_events=initial,
        name=name,
    )


def selection_of(query: Mapping[str, str]) -> Selection:
    return Selection(query.get("labelSelector", ""), query.get("fieldSelector", ""))


def include_of(request: web.BaseRequest) -> str:
    return request.query.get("includeObject", "Metadata")


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("1", "t", "true")


def integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "") or "0"
    try:
        return max(0, int(text))
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


async def read_object(
    request: web.BaseRequest, kind: Kind, user: User, also: Sequence[str] = ()
) -> tuple[Request, dict[str, Any]]:
    """The request and its body, an object of this kind as it was sent; `also`: other versions that will do.

    Raises BadRequest, Invalid, UnsupportedMediaType.
    """
    how = request_of(request, user)
    body = decode_body(
        await request.read(),
        request.headers.get("Content-Type", ""),
        definition=kind.definition,
        strict=how.field_validation != "Ignore",
    )
    obj = body.tree
    if not isinstance(obj, dict):
        raise BadRequest("the object provided is unrecognized (must be an object)")
    if obj.get("apiVersion") not in also:
        check_kind(obj, kind.resource)
    return _with_duplicates(how, body), obj


async def read_shaped(
    request: web.BaseRequest, kind: Kind, user: User, also: Sequence[str] = ()
) -> tuple[Request, dict[str, Any]]:
    """As `read_object`, of what the registry never stores: in the shape of its kind, unknown fields told of."""
    how, obj = await read_object(request, kind, user, also)
    check_object(kind, clean(kind, shape_of(kind), obj), how)
    return how, obj


def check_kind(obj: Mapping[str, Any], resource: Resource) -> None:
    """Raises BadRequest for another kind or version than the URL is for; an object may say nothing of itself."""
    given = obj.get("kind") or resource.kind
    version = obj.get("apiVersion") or resource.api_version
    if given != resource.kind or version != resource.api_version:
        raise BadRequest(
            f'{given} in version "{str(version).rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
            f"the API version in the data ({version}) does not match the expected API version "
            f"({resource.api_version})"
        )


async def patch_of(request: web.BaseRequest, how: Request) -> tuple[Request, PatchType, Any]:
    """Raises BadRequest, Invalid, UnsupportedMediaType."""
    media = request.headers.get("Content-Type", "").split(";")[0].strip()
    type = PATCHES.get(media)
    if type is None:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(PATCHES)
        )
    strict = how.field_validation != "Ignore"
    refusal = "" if type is PatchType.STRATEGIC else DECODING
    body = decode_body(await request.read(), media, json_also=tuple(PATCHES), strict=strict, refusal=refusal)
    how = _with_duplicates(how, body)
    if type is PatchType.APPLY and not request.query.get("fieldManager"):
        cause = FieldError("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        raise Invalid.of("PatchOptions", "meta.k8s.io", "", [cause])
    return how, type, body.tree


def _with_duplicates(how: Request, body: Body) -> Request:
    return msgspec.structs.replace(how, duplicates=body.duplicates) if body.duplicates else how
