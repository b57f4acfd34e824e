"""The handlers of ordinary resources: from a request about a kind to bytes, over the registry."""

from __future__ import annotations

from aiohttp import web

from minikube.apiserver import views
from minikube.apiserver.answers import answer
from minikube.apiserver.negotiation import STATUS, Wanted, wanted
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.requests import (
    delete_options,
    include_of,
    integer,
    list_options,
    patch_of,
    read_object,
    request_of,
    selection_of,
    watch_options,
)
from minikube.apiserver.watching import Watching, seconds_of
from minikube.auth.base import User
from minikube.errors import MethodNotAllowed
from minikube.kit.clock import Clock
from minikube.registry.base import Registry
from minikube.registry.scale import patch_scale, put_scale, scale_of
from minikube.registry.stored import StoredObject, to_bytes
from minikube.resources.base import Kind
from minikube.resources.subresources import SCALE
from minikube.schema import protobuf_encode
from minikube.store.base import Record

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
        return answer(views.one(kind, stored, offer, include_of(request), self._clock.now()), offer)

    async def _list(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, offer: Wanted
    ) -> web.StreamResponse:
        query = request.query
        listing = await self._registry.list(kind, info.namespace, selection_of(query), list_options(query))
        return answer(await views.many(kind, listing, offer, include_of(request), self._clock.now()), offer)

    async def _watch(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, offer: Wanted
    ) -> web.StreamResponse:
        query = request.query
        seconds = seconds_of(integer(query, "timeoutSeconds"))
        options = watch_options(query, info.name)
        async with self._registry.watch(kind, info.namespace, selection_of(query), options) as events:
            watching = Watching(kind, offer, include_of(request), self._clock)
            return await watching.answer(request, events, seconds)

    async def _create(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, obj = await read_object(request, kind, user)
        stored = await self._registry.create(kind, info.namespace, obj, how)
        body = views.one(kind, stored, offer, include_of(request), self._clock.now())
        return answer(body, offer, status=201)

    async def _update(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, obj = await read_object(request, kind, user)
        written = await self._registry.update(
            kind, info.namespace, info.name, obj, how, subresource=info.subresource
        )
        body = views.one(kind, written.object, offer, include_of(request), self._clock.now())
        return answer(body, offer, status=201 if written.created else 200)

    async def _patch(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        how, type, patch = await patch_of(request, request_of(request, user))
        written = await self._registry.patch(
            kind, info.namespace, info.name, patch, type, how, subresource=info.subresource
        )
        shown = views.one(kind, written.object, offer, include_of(request), self._clock.now())
        return answer(shown, offer, status=201 if written.created else 200)

    async def _delete(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        options = await delete_options(request)
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
        body = views.one(kind, stored, offer, include_of(request), self._clock.now())
        return answer(body, offer)

    async def _delete_collection(
        self, request: web.BaseRequest, kind: Kind, info: RequestInfo, user: User, offer: Wanted
    ) -> web.StreamResponse:
        options = await delete_options(request)
        how = request_of(request, user, dry_run=options.dry_run)
        selection = selection_of(request.query)
        listing = await self._registry.delete_collection(kind, info.namespace, selection, options, how)
        return answer(await views.many(kind, listing, offer, include_of(request), self._clock.now()), offer)

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
            how, type, patch = await patch_of(request, how)
            stored = await patch_scale(self._registry, kind, namespace, name, patch, type, how)
        told = to_bytes(scale_of(kind, stored.tree(kind)))
        shown = StoredObject(SCALE, Record(stored.key, told, stored.revision, stored.revision))
        return answer(views.one(SCALE, shown, offer, include_of(request), self._clock.now()), offer)
