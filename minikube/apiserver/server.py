"""The API server: every HTTPS request from its first byte to its answer.

authenticate -> audit -> impersonate -> authorize -> route: health, version, discovery, openapi, resources.
Errors become Status here.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import web

from minikube import KUBERNETES_VERSION, __version__
from minikube.api.apiregistration_v1 import APIService
from minikube.apiserver import discovery, profiling, views
from minikube.apiserver.access import Access
from minikube.apiserver.answers import answer, error_response
from minikube.apiserver.audit.trail import Trail, audit_of
from minikube.apiserver.compression import compressed
from minikube.apiserver.flow import Flow, is_long_running
from minikube.apiserver.flow_matching import FLOW, FlowSchemas
from minikube.apiserver.handlers import Resources
from minikube.apiserver.headers import upgrades
from minikube.apiserver.health import Health, ping
from minikube.apiserver.metrics import GROUP as METRICS
from minikube.apiserver.metrics import Metrics
from minikube.apiserver.negotiation import BODY_LIMIT, META, Wanted, wanted
from minikube.apiserver.node_connections import NodeConnections
from minikube.apiserver.openapi import OpenApi
from minikube.apiserver.parking import node_parked_at, park
from minikube.apiserver.remote_apis import Swagger
from minikube.apiserver.request_info import RequestInfo, request_info
from minikube.apiserver.traffic import CONTENT_TYPE, HEALTH, Traffic
from minikube.apiserver.warnings import WARNINGS, warning_headers
from minikube.auth.base import Authenticator, Authorizer, User
from minikube.errors import ApiError, InternalError, NotFound, Timeout, TooLarge
from minikube.kit.clock import Clock
from minikube.kit.keeper import Keeper
from minikube.pki.server import ServerPki
from minikube.registry.base import Registry
from minikube.settings import Settings
from minikube.transport.certificates import LiveContext
from minikube.transport.parking import Nodes
from minikube.transport.server import listening

log = logging.getLogger(__name__)

VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": f"{KUBERNETES_VERSION}+minikube{__version__}",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-10-01T00:00:00Z",
    "goVersion": f"python{platform.python_version()}",
    "compiler": platform.python_implementation().lower(),
    "platform": f"linux/{'arm64' if platform.machine() == 'aarch64' else 'amd64'}",
}
REQUEST_SECONDS = 60.0

Document = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Route = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]
Subresource = Callable[[web.BaseRequest, RequestInfo, User], Awaitable[web.StreamResponse]]


class Elsewhere(Protocol):
    """The APIs that others serve (apiserver/aggregation.py)."""

    def serves(self, path: str) -> APIService | None:
        """Whose that path is, if not ours."""
        ...

    async def forward(self, request: web.BaseRequest, api: APIService, user: User) -> web.StreamResponse: ...

    def versions(self) -> list[discovery.RemoteVersion]: ...

    def openapi(self) -> Mapping[str, str]: ...

    def swagger(self) -> Mapping[str, Swagger]: ...


class ApiServer:
    """`subresources` serve what is not plain storage: pods/log, serviceaccounts/token, pods/binding …;
    `documents` are further paths and what answers them."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        pki: ServerPki,
        authenticator: Authenticator,
        authorizer: Authorizer,
        clock: Clock,
        *,
        address: str,
        keeper: Keeper,
        health: Health | None = None,
        connections: NodeConnections | None = None,
        subresources: dict[str, Subresource] | None = None,
        documents: Mapping[str, Document] | None = None,
        nodes: Nodes | None = None,
        metrics: Metrics | None = None,
        elsewhere: Elsewhere | None = None,
        schemas: FlowSchemas | None = None,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._pki = pki
        self._access = Access(authenticator, authorizer, connections)
        self._audit = audit_of(settings, clock)
        self._resources = Resources(registry, clock)
        self._openapi = OpenApi(registry, elsewhere)
        self._address = address
        self._keeper = keeper
        self._subresources = subresources or {}
        self._documents = documents or {}
        self._health = health or Health({"ping": ping})
        self._flow = Flow(settings.max_requests_inflight, settings.max_mutating_requests_inflight)
        self._traffic = Traffic(self._flow, registry.object_counts)
        self._nodes = nodes or Nodes()
        self._metrics = metrics
        self._elsewhere = elsewhere
        self._schemas = schemas
        self._routes = self._all_routes()
        self.ready = asyncio.Event()
        self._tls: LiveContext | None = None

    async def run(self) -> None:
        """Serve until cancelled."""
        settings = self._settings
        proxies = [Path(path) for path in (settings.requestheader_client_ca_file,) if path]
        self._tls = LiveContext(
            self._pki.server.certificate, self._pki.server.key, [self._pki.client_ca.certificate, *proxies]
        )
        host, port = settings.bind_address, settings.https_listen_port
        async with listening(self.handle, host, port, self._tls.context, self._keeper):
            log.info("the API answers on port %d", port)
            self.ready.set()
            await asyncio.Event().wait()

    def reload_certificates(self) -> None:
        """New connections get what the files say now. Raises OSError, ssl.SSLError."""
        if self._tls is not None:
            self._tls.reload()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request; never raises but for cancellation and lost connections."""
        query = request.query
        watch, fields = query.get("watch", "") in ("1", "true", "True"), query.get("fieldSelector", "")
        info = request_info(request.method, request.path, watch=watch, fields=fields)
        if (
            self._elsewhere is not None
            and upgrades(request.headers)
            and self._elsewhere.serves(info.path) is not None
        ):
            info = msgspec.structs.replace(info, upgraded=True)
        began = self._traffic.begin(info)
        request[WARNINGS] = []
        response = None
        try:
            trail = self._audit.open(request, info) if self._audit is not None else None
            response = await self._answered(request, info, trail)
            if not response.prepared:
                response.headers.update(request.get(FLOW, {}))
                for warning in warning_headers(request[WARNINGS]):
                    response.headers.add("Warning", warning)
            if trail is not None:
                kind = self._registry.find(info.group, info.version, info.resource)
                await trail.complete(response, kind.definition if kind is not None else "")
            return await compressed(request, response)
        finally:
            self._traffic.end(info, began, response, dry_run="dryRun" in query)

    async def _answered(
        self, request: web.BaseRequest, info: RequestInfo, trail: Trail | None
    ) -> web.StreamResponse:
        try:
            async with asyncio.timeout(None if is_long_running(info) else REQUEST_SECONDS):
                return await self._answer(request, info, trail)
        except TimeoutError:
            failed: ApiError = Timeout("Timeout: request did not complete within the allotted timeout")
        except ApiError as error:
            failed = error
        except web.HTTPRequestEntityTooLarge:
            failed = TooLarge(f"Request entity too large: limit is {BODY_LIMIT}")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            failed = InternalError(f"Internal error occurred: {error}")
        return error_response(failed, request.headers.get("Accept", ""))

    async def _answer(self, request: web.BaseRequest, info: RequestInfo, trail: Trail | None) -> web.StreamResponse:
        if (request.content_length or 0) > BODY_LIMIT and info.subresource != "proxy":
            raise TooLarge(f"Request entity too large: limit is {BODY_LIMIT}")
        if node_parked_at(info.path):
            return await park(request, await self._access.user(request), self._nodes)
        user = await self._access.admit(request, info, trail)
        if self._schemas is not None and (info.verb == "watch" or not is_long_running(info)):
            request[FLOW] = self._schemas.headers(user, info.action())
        async with self._flow.admitted(user, info):
            return await self._route(request, info, user)

    async def _route(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        theirs = self._elsewhere.serves(info.path) if self._elsewhere is not None else None
        if self._elsewhere is not None and theirs is not None:
            return await self._elsewhere.forward(request, theirs, user)
        if info.resource:
            return await self._resource(request, info, user)
        path = info.path
        for root, route in self._routes.items():
            if path == root or path.startswith(f"{root}/"):
                return await route(request, path)
        raise NotFound.path()

    def _all_routes(self) -> dict[str, Route]:
        """Whatever is not about resources: a path, with all below it, and what answers there."""
        documents = {path: _exactly(path, document) for path, document in self._documents.items()}
        return {
            **dict.fromkeys(("/api", "/apis"), self._discovery),
            **dict.fromkeys(HEALTH, self._healthy),
            **dict.fromkeys(("/openapi/v2", "/openapi/v3"), self._openapi.serve),
            "/metrics": _exactly("/metrics", self._measured),
            "/version": _exactly("/version", self._version),
            **({profiling.ROOT: _profiled} if self._settings.profiling else {}),
            **documents,
            "/": _exactly("/", self._index),
        }

    async def _resource(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        if self._metrics is not None and info.group == METRICS:
            return await self._metrics.serve(request, info)
        kind = self._registry.find(info.group, info.version, info.resource)
        if kind is None:
            raise NotFound.path()
        if kind.deprecated:
            request[WARNINGS].append(kind.deprecated)
        if info.subresource:
            if info.subresource not in discovery.subresources_of(kind):
                raise NotFound.path()
            special = self._subresources.get(f"{info.resource}/{info.subresource}")
            if special is not None:
                return await special(request, info, user)
        special = self._subresources.get(info.resource) if "list" not in kind.verbs else None
        if special is not None:
            return await special(request, info, user)
        if (
            kind.resource.namespaced
            and not info.namespace
            and info.verb not in ("list", "watch", "deletecollection")
        ):
            raise NotFound.path()
        return await self._resources.serve(request, kind, info, user)

    async def _discovery(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        kinds = [*self._registry.kinds(), *(self._metrics.kinds if self._metrics is not None else ())]
        remote = self._remote_versions()
        parts = path.strip("/").split("/")
        offer = wanted(request.headers.get("Accept", ""), messages=True)
        if path.rstrip("/") in ("/api", "/apis") and offer.discovery in ("v2", "v2beta1"):
            found = discovery.aggregated(kinds, core=parts[0] == "api", version=offer.discovery, remote=remote)
            kind = f"application/json;g=apidiscovery.k8s.io;v={offer.discovery};as=APIGroupDiscoveryList"
            return web.Response(body=msgspec.json.encode(found), headers={"Content-Type": kind})
        document: dict[str, Any] | None
        if parts == ["api"]:
            document = discovery.api_versions(f"{self._address}:{self._settings.https_listen_port}")
        elif parts == ["apis"]:
            document = discovery.api_group_list(kinds, remote)
        elif parts[0] == "api" and len(parts) == 2:
            document = discovery.api_resource_list(kinds, "", parts[1])
        elif len(parts) == 2:
            versions = discovery.groups(kinds, remote).get(parts[1])
            document = discovery.api_group(parts[1], versions, alone=True) if versions else None
        else:
            document = discovery.api_resource_list(kinds, parts[1], parts[2])
        if document is None:
            raise NotFound.path()
        return answer(views.plain(document, f"{META}{document['kind']}", offer), offer)

    def _remote_versions(self) -> list[discovery.RemoteVersion]:
        return self._elsewhere.versions() if self._elsewhere is not None else []

    async def _index(self, request: web.BaseRequest) -> web.StreamResponse:
        found = [path for path in self._routes if path != "/"]
        for group, versions in discovery.groups(self._registry.kinds(), self._remote_versions()).items():
            root = f"/apis/{group}" if group else "/api"
            found += [*([root] if group else ()), *(f"{root}/{version}" for version in versions)]
        return answer(msgspec.json.encode({"paths": sorted(found)}), Wanted())

    async def _measured(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=self._traffic.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _version(self, request: web.BaseRequest) -> web.StreamResponse:
        return answer(msgspec.json.encode(VERSION), Wanted())

    async def _healthy(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        query = request.query
        report = await self._health.report(path, verbose="verbose" in query, excluded=query.getall("exclude", []))
        if report is None:
            raise NotFound.path()
        return web.Response(text=report.text, status=report.code, headers={"X-Content-Type-Options": "nosniff"})


def _exactly(path: str, document: Document) -> Route:
    """Nothing is below it."""

    async def route(request: web.BaseRequest, asked: str) -> web.StreamResponse:
        if asked.rstrip("/") != path.rstrip("/"):
            raise NotFound.path()
        return await document(request)

    return route


async def _profiled(request: web.BaseRequest, path: str) -> web.StreamResponse:
    return web.Response(text=await profiling.debug(path, dict(request.query)))
