"""The handlers of ordinary resources: from a request about a kind to bytes, over the registry."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from minikube.api.meta import Resource
from minikube.apiserver import views
from minikube.apiserver.audit.trail import ANNOTATIONS
from minikube.apiserver.compression import InPieces
from minikube.apiserver.headers import told as said
from minikube.apiserver.negotiation import (
    DELETE_OPTIONS,
    JSON,
    PROTOBUF,
    STATUS,
    YAML,
    Body,
    Wanted,
    decode_body,
    read_body,
    wanted,
)
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.warnings import WARNINGS
from minikube.apiserver.watching import Watching, seconds_of
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.errors import (
    ApiError,
    BadRequest,
    FieldError,
    Invalid,
    MethodNotAllowed,
    NotAcceptable,
    UnsupportedMediaType,
)
from minikube.kit.clock import Clock
from minikube.registry.base import DeleteOptions, ListOptions, Registry, Request, Selection, WatchOptions
from minikube.registry.patching import DECODING
from minikube.registry.scale import patch_scale, put_scale, scale_of
from minikube.registry.shape import shape_of
from minikube.registry.steps import clean
from minikube.registry.stored import StoredObject, to_bytes
from minikube.registry.strictness import check_object
from minikube.resources.base import Kind
from minikube.resources.subresources import SCALE
from minikube.schema import protobuf_encode
from minikube.store.base import Record

PATCHES = {f"application/{type.value}": type for type in PatchType}
NAMED, UNNAMED = ("get", "update", "patch", "delete"), ("list", "create", "deletecollection")


class Resources:
    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def serve(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User
    ) -> web.StreamResponse:
        """Any verb on the collection, an object, or its status or scale."""
        named = bool(info.name)
        if info.verb not in kind.verbs or (info.verb in UNNAMED and named) or (info.verb in NAMED and not named):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        shown = SCALE if info.subresource == "scale" else kind
        offer = wanted(request.headers.get("Accept", ""), messages=protobuf_encode.known(shown.definition))
        if info.subresource == "scale":
            return await self._scale(request, kind, info, user, offer)
        match info.verb:
            case "get":
                return await self._get(request, kind, info, offer)
            case "list":
                return await self._list(request, kind, info, offer)
            case "watch":
                return await self._watch(request, kind, info, offer)
            case "create":
                return await self._create(request, kind, info, user, offer)
            case "update":
                return await self._update(request, kind, info, user, offer)
            case "patch":
                return await self._patch(request, kind, info, user, offer)
            case "delete":
                return await self._delete(request, kind, info, user, offer)
            case "deletecollection":
                return await self._delete_collection(request, kind, info, user, offer)
        raise MethodNotAllowed("the server does not allow this method on the requested resource")

    async def _get(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, offer: Wanted
    ) -> web.StreamResponse:
        revision = request.query.get("resourceVersion", "")
        stored = await self._registry.get(kind, info.namespace, info.name, resource_version=revision)
        return answer(views.one(kind, stored, offer, _include(request), self._clock.now()), offer)

    async def _list(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, offer: Wanted
    ) -> web.StreamResponse:
        query = request.query
        options = ListOptions(
            resource_version=query.get("resourceVersion", ""),
            resource_version_match=query.get("resourceVersionMatch", ""),
            limit=_integer(query, "limit"),
            continue_=query.get("continue", ""),
        )
        listing = await self._registry.list(kind, info.namespace, _selection(query), options)
        return answer(await views.many(kind, listing, offer, _include(request), self._clock.now()), offer)

    async def _watch(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, offer: Wanted
    ) -> web.StreamResponse:
        query = request.query
        seconds = seconds_of(_integer(query, "timeoutSeconds"))
        initial = query.get("sendInitialEvents") == "true"
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            cause = FieldError(
                "resourceVersionMatch",
                "FieldValueForbidden",
                "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )
            raise Invalid.of("ListOptions", "meta.k8s.io", "", [cause])
        options = WatchOptions(
            resource_version=query.get("resourceVersion", ""),
            bookmarks=_flag(query, "allowWatchBookmarks"),
            send_initial_events=initial,
            name=info.name,
        )
        async with self._registry.watch(kind, info.namespace, _selection(query), options) as events:
            watching = Watching(kind, offer, _include(request), self._clock)
            return await watching.answer(request, events, seconds)

    async def _create(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, obj = await read_object(request, kind, user)
        stored = await self._registry.create(kind, info.namespace, obj, how)
        body = views.one(kind, stored, offer, _include(request), self._clock.now())
        return answer(body, offer, status=201)

    async def _update(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, obj = await read_object(request, kind, user)
        written = await self._registry.update(
            kind, info.namespace, info.name, obj, how, subresource=info.subresource
        )
        body = views.one(kind, written.object, offer, _include(request), self._clock.now())
        return answer(body, offer, status=201 if written.created else 200)

    async def _patch(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, type, patch = await _patch_of(request, request_of(request, user))
        written = await self._registry.patch(
            kind, info.namespace, info.name, patch, type, how, subresource=info.subresource
        )
        shown = views.one(kind, written.object, offer, _include(request), self._clock.now())
        return answer(shown, offer, status=201 if written.created else 200)

    async def _delete(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        options = await _delete_options(request)
        how = request_of(request, user, dry_run=options.dry_run)
        stored, gone = await self._registry.delete(kind, info.namespace, info.name, options, how)
        if gone and kind.resource.plural != "pods":
            details = {"name": stored.name, "group": kind.resource.group, "kind": kind.resource.plural}
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {**{k: v for k, v in details.items() if v}, "uid": stored.uid},
            }
            return answer(views.plain(status, STATUS, offer), offer)
        body = views.one(kind, stored, offer, _include(request), self._clock.now())
        return answer(body, offer)

    async def _delete_collection(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        options = await _delete_options(request)
        how = request_of(request, user, dry_run=options.dry_run)
        selection = _selection(request.query)
        listing = await self._registry.delete_collection(kind, info.namespace, selection, options, how)
        return answer(await views.many(kind, listing, offer, _include(request), self._clock.now()), offer)

    async def _scale(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        namespace, name = info.namespace, info.name
        how = request_of(request, user)
        if info.verb == "get":
            stored = await self._registry.get(kind, namespace, name)
        elif info.verb == "update":
            how, scale = await read_object(request, SCALE, user)
            stored = await put_scale(self._registry, kind, namespace, name, scale, how)
        else:
            how, type, patch = await _patch_of(request, how)
            stored = await patch_scale(self._registry, kind, namespace, name, patch, type, how)
        told = to_bytes(scale_of(kind, stored.tree(kind)))
        shown = StoredObject(SCALE, Record(stored.key, told, stored.revision, stored.revision))
        return answer(views.one(SCALE, shown, offer, _include(request), self._clock.now()), offer)


def offered(request: web.BaseRequest) -> Wanted:
    """How an object is answered that is never stored. Raises NotAcceptable."""
    return wanted(request.headers.get("Accept", ""), views=False, messages=True)


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


async def _patch_of(request: web.BaseRequest, how: Request) -> tuple[Request, PatchType, Any]:
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


def answer(body: bytes | list[bytes], offer: Wanted, *, status: int = 200) -> web.StreamResponse:
    if offer.media == YAML:
        import yaml

        whole = body if isinstance(body, bytes) else b"".join(body)
        body = yaml.safe_dump(msgspec.json.decode(whole), sort_keys=False).encode()
    headers = {"Content-Type": offer.media}
    if isinstance(body, bytes):
        return web.Response(body=body, status=status, headers=headers)
    return InPieces(body, status=status, headers=headers)


def error_response(error: ApiError, accept: str = "") -> web.Response:
    """A Status; in JSON for whoever accepts nothing that can be had."""
    media = JSON
    if not isinstance(error, NotAcceptable):
        with contextlib.suppress(NotAcceptable):
            media = PROTOBUF if wanted(accept, messages=True).media == PROTOBUF else JSON
    headers = {"Content-Type": media}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = views.plain(error.status(), STATUS, Wanted(media=media))
    return web.Response(body=body, status=error.code, headers=headers)


def _selection(query: Mapping[str, str]) -> Selection:
    return Selection(query.get("labelSelector", ""), query.get("fieldSelector", ""))


def _include(request: web.BaseRequest) -> str:
    return request.query.get("includeObject", "Metadata")


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() in ("1", "t", "true")


def _integer(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "") or "0"
    try:
        return max(0, int(text))
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def request_of(request: web.BaseRequest, user: User, *, dry_run: tuple[str, ...] = ()) -> Request:
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
    agent = said(request.headers.get("User-Agent", "")).split("/")[0]
    return Request(
        user=user,
        dry_run=bool(asked),
        field_manager=query.get("fieldManager", "") or agent or "unknown",
        field_validation=validation,
        force=_flag(query, "force"),
        annotations=request.get(ANNOTATIONS, {}),
        warnings=request[WARNINGS],
    )


async def _delete_options(request: web.BaseRequest) -> DeleteOptions:
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
