"""Requests for APIs that somebody else serves, passed on to the Service of their APIService.

Who asks has been authenticated and authorized here; the extension server is told in X-Remote-* headers, and
believes them for our client certificate. Rules: kube-aggregator's handler_proxy.go.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from minikube.api.apiregistration_v1 import APIService
from minikube.apiserver.headers import upgrades
from minikube.apiserver.negotiation import JSON
from minikube.apiserver.proxy import HOP_BY_HOP, copy_body, passed_on
from minikube.apiserver.remote_apis import BACKEND, RemoteApis, is_available
from minikube.auth.base import User
from minikube.errors import ApiError, NodeUnreachable, ServiceUnavailable, from_status
from minikube.registry.registry import Raw
from minikube.transport.hijack import Hijacked, hijack, hijack_response, splice
from minikube.transport.server import while_connected

TOKEN = "!#$&'*+-.^_`|~"
"""What header names may have beside letters and digits, but for the percent sign that escapes."""
RAW_SECONDS = 30.0


class Aggregation:
    """What ApiServer knows as Elsewhere."""

    def __init__(self, apis: RemoteApis, own: Raw) -> None:
        """`own` answers raw requests for APIs that are neither somebody else's nor of the registry."""
        self._apis, self._own = apis, own
        self.versions, self.openapi, self.swagger = apis.versions, apis.openapi, apis.swagger

    def serves(self, path: str) -> APIService | None:
        """The API of /apis/<group>/<version>/… or of its OpenAPI document, if somebody else serves it."""
        parts = path.strip("/").split("/")
        if parts[:2] == ["openapi", "v3"]:
            parts = parts[2:]
        return self._apis.of(parts[1], parts[2]) if len(parts) > 2 and parts[0] == "apis" else None

    async def raw(self, method: str, path: str, body: Any, user: User) -> Any:
        """What it answers to somebody in this process, JSON in and out. Raises ApiError."""
        api = self.serves(urlsplit(path).path)
        if api is None:
            return await self._own(method, path, body, user)
        if not is_available(api):
            raise ServiceUnavailable("service unavailable")
        headers = CIMultiDict({"Accept": JSON, **({"Content-Type": JSON} if body is not None else {})})
        tell(headers, user)
        data = msgspec.json.encode(body) if body is not None else None
        try:
            async with (
                asyncio.timeout(RAW_SECONDS),
                self._apis.session(api) as session,
                session.request(
                    method, URL(f"{BACKEND}{path}", encoded=True), headers=headers, data=data, allow_redirects=False
                ) as answer,
            ):
                found = msgspec.json.decode(await answer.read())
        except TimeoutError as error:
            raise ServiceUnavailable(f"error trying to reach service: {path} took too long") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ServiceUnavailable(f"error trying to reach service: {error}") from error
        if answer.status >= 400:
            raise from_status(found if isinstance(found, dict) else {})
        return found

    async def forward(self, request: web.BaseRequest, api: APIService, user: User) -> web.StreamResponse:
        """Its answer, or the splice of an upgraded connection; 503 when it is known not to answer."""
        service = api.spec.service
        if not is_available(api) or service is None:
            return web.Response(text="service unavailable", status=503)
        upgrade = upgrades(request.headers)
        authority = f"{service.name}.{service.namespace}.svc:{service.port or 443}"
        headers = passed_on(request, authority, upgrade=upgrade)
        tell(headers, user)
        url = URL(f"{BACKEND}{request.rel_url.raw_path_qs}", encoded=True)
        body = request.content if request.can_read_body and not upgrade else None
        try:
            session = self._apis.session(api)
        except (OSError, ValueError) as error:
            raise NodeUnreachable(f"error trying to reach service: {error}") from error
        async with session:
            try:
                answer = await session.request(
                    request.method, url, headers=headers, data=body, allow_redirects=False
                )
            except (aiohttp.ClientError, OSError) as error:
                raise NodeUnreachable(f"error trying to reach service: {error}") from error
            except ApiError as error:
                raise NodeUnreachable(f"error trying to reach service: {error.message}") from error
            if answer.status == 101:
                backend = hijack_response(answer)
                await splice(hijack(request, answer.headers), backend)
                return Hijacked()
            async with answer:
                return await _answered(request, answer)


async def _answered(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict(answer.headers)
    for name in HOP_BY_HOP:
        headers.popall(name, None)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    await while_connected(request, copy_body(answer, response))
    return response


def tell(headers: CIMultiDict[str], user: User) -> None:
    """Who asks; what the client itself said of that is nobody's word."""
    for name in [name for name in headers if name.lower().startswith("x-remote-")]:
        headers.popall(name, None)
    headers["X-Remote-User"] = user.name
    if user.uid:
        headers["X-Remote-Uid"] = user.uid
    for group in user.groups:
        headers.add("X-Remote-Group", group)
    for key, values in user.extra.items():
        for value in values:
            headers.add(f"X-Remote-Extra-{quote(key, safe=TOKEN)}", value)
