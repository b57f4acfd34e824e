"""pods/proxy, services/proxy and nodes/proxy: any HTTP request, passed on through the agent of the node concerned.

Rules: k8s.io/apimachinery/pkg/util/proxy.UpgradeAwareHandler; the choice of targets and its refusals:
k8s.io/kubernetes/pkg/registry/core (pod/strategy.go, service/storage, node/strategy.go).
"""

from __future__ import annotations

import gzip
import ipaddress
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.api.core_v1 import Node, Pod, Service
from minikube.apiserver.headers import upgrades
from minikube.apiserver.links import rewritten, through
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.server import Subresource
from minikube.apiserver.services import Services
from minikube.auth.base import User
from minikube.client.base import Informers
from minikube.errors import BadRequest, NodeUnreachable, NotFound
from minikube.transport.by_hand import ask
from minikube.transport.hijack import Hijacked, RawStream, header_lines, hijack, splice
from minikube.transport.parking import Nodes, streaming_session
from minikube.transport.server import while_connected

HOP_BY_HOP = (
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Te",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)
OURS = ("Authorization", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid")
"""Credentials are for us, never for what is behind us."""
PAGE_LIMIT = 16 * 1024 * 1024

Open = Callable[[], Awaitable[RawStream]]


class Target(msgspec.Struct, frozen=True):
    """Where a request goes: `authority` for the Host header, `open` for the connection."""

    authority: str
    open: Open


class Proxy:
    def __init__(self, informers: Informers, nodes: Nodes, admission: Chain) -> None:
        self._pods = informers.of(Pod).lister
        self._services = Services(informers)
        self._node_objects = informers.of(Node).lister
        self._nodes, self._admission = nodes, admission

    def table(self) -> dict[str, Subresource]:
        return {"pods/proxy": self.pod, "services/proxy": self.service, "nodes/proxy": self.node}

    async def pod(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        scheme, name, port = split(info.name, "pod")
        await self._admit(info, user, Pod, name, "PodProxyOptions")
        pod = self._pods.get(name, info.namespace)
        if pod is None:
            raise NotFound.of("pods", "", name)
        declared = (port for each in pod.spec.containers for port in each.ports)
        first = next(declared, None)
        number = port or (str(first.container_port) if first is not None else "")
        ip = pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip
        return await forward(request, self._reached(pod.spec.node_name, ip, number, scheme))

    async def service(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        scheme, name, port = split(info.name, "service")
        await self._admit(info, user, Service, name, "ServiceProxyOptions")
        chosen = self._services.choose(info.namespace, name, port, asked=info.name)
        return await forward(request, self._reached(chosen.node, chosen.ip, str(chosen.port), scheme))

    async def node(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        scheme, name, port = split(info.name, "node")
        await self._admit(info, user, Node, name, "NodeProxyOptions")
        node = self._node_objects.get(name)
        if node is None:
            raise NotFound.of("nodes", "", name)
        endpoints = node.status.daemon_endpoints
        kubelet = endpoints.kubelet_endpoint.port if endpoints and endpoints.kubelet_endpoint else None
        address = next((each.address for each in node.status.addresses if each.type == "InternalIP"), name)
        if not port or port == str(kubelet):
            return await forward(request, Target(f"{address}:{kubelet}", lambda: self._nodes.take(name)))
        return await forward(request, self._reached(name, address, port, scheme))

    def _reached(self, node: str, ip: str, port: str, scheme: str) -> Target:
        """Through the agent of `node`; without one, straight from here. Raises BadRequest."""
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            raise BadRequest("address not allowed") from None
        if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
            raise BadRequest("address not allowed")
        tls = scheme == "https"
        number = int(port) if port else 443 if tls else 80
        host = f"[{ip}]" if address.version == 6 else ip
        authority = f"{host}:{port}" if port else host
        return Target(authority, lambda: self._nodes.dial(node, ip, number, tls=tls))

    async def _admit(
        self, info: RequestInfo, user: User, kind: type[Pod] | type[Service] | type[Node], name: str, options: str
    ) -> None:
        attributes = Attributes(
            "CONNECT",
            kind.resource,
            "proxy",
            info.namespace,
            name,
            {"kind": options, "apiVersion": "v1", "path": info.rest},
            None,
            user,
        )
        await self._admission.mutate(attributes)
        await self._admission.validate(attributes)


# ---- pure ------------------------------------------------------------------------------------------------


def split(name: str, what: str) -> tuple[str, str, str]:
    """(scheme, name, port) of `name`, `name:port` or `scheme:name:port`. Raises BadRequest."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return parts[0], parts[1], parts[2]
    raise BadRequest(f'invalid {what} request "{name}"')


def place(raw_path: str) -> tuple[str, str]:
    """(what leads to the target, the path there) of a URL's path up to and behind its `/proxy`."""
    parts = raw_path.split("/")
    here = 8 if parts[3] == "namespaces" else 6
    rest = parts[here:]
    return "/".join(parts[:here]), "/" + "/".join(rest) if rest else ""


def passed_on(request: web.BaseRequest, authority: str, *, upgrade: bool) -> CIMultiDict[str]:
    """The headers for who serves it at `authority`, without our credentials."""
    headers = CIMultiDict(request.headers)
    named = [each.strip() for value in headers.getall("Connection", ()) for each in value.split(",")]
    for name in (*OURS, *(() if upgrade else (*HOP_BY_HOP, *named))):
        headers.popall(name, None)
    for name in [name for name in headers if name.lower().startswith("impersonate-extra-")]:
        headers.popall(name, None)
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    seen = [*headers.popall("X-Forwarded-For", ()), *([peer[0]] if peer else [])]
    headers["X-Forwarded-For"] = ", ".join(seen)
    headers["X-Forwarded-Uri"] = request.rel_url.raw_path
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Proto"] = "https"
    headers["Host"] = authority
    return headers


def returned(headers: Mapping[str, str], prefix: str, hosts: frozenset[str]) -> CIMultiDict[str]:
    """The headers of an answer as its client gets them."""
    found = CIMultiDict(headers)
    for name in HOP_BY_HOP:
        found.popall(name, None)
    for name in [name for name in found if name.lower().startswith("access-control-")]:
        found.popall(name, None)
    if "Location" in found:
        found["Location"] = through(found["Location"], prefix, hosts)
    return found


# ---- bytes -----------------------------------------------------------------------------------------------


async def forward(request: web.BaseRequest, target: Target) -> web.StreamResponse:
    """The target's answer, or the splice of an upgraded connection. Raises NodeUnreachable."""
    prefix, path = place(request.rel_url.raw_path)
    query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
    upgrade = upgrades(request.headers)
    if not path and not upgrade and request.method in ("GET", "HEAD"):
        return web.Response(status=301, headers={"Location": f"{prefix}/{query}"})
    headers = passed_on(request, target.authority, upgrade=upgrade)
    if upgrade:
        backend = await target.open()
        await backend.write(f"{request.method} {path or '/'}{query} HTTP/1.1\r\n".encode() + header_lines(headers))
        await splice(hijack(request, None), backend)
        return Hijacked()
    if request.method == "HEAD" and not request.can_read_body:
        return await _head(request, target, f"{path or '/'}{query}", headers, prefix)
    async with streaming_session(lambda host, port: target.open()) as session:
        try:
            answer = await session.request(
                request.method,
                URL(f"http://backend{path or '/'}{query}", encoded=True),
                headers=headers,
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise NodeUnreachable(f"error trying to reach service: {error}") from error
        except NodeUnreachable as error:
            raise NodeUnreachable(f"error trying to reach service: {error.message}") from error
        async with answer:
            return await _answered(request, answer, prefix, target.authority)


async def _head(
    request: web.BaseRequest, target: Target, path: str, headers: CIMultiDict[str], prefix: str
) -> web.StreamResponse:
    """Some servers send the body all the same: nobody reads it. Raises NodeUnreachable."""
    headers["Connection"] = "close"
    try:
        stream = await target.open()
        try:
            answered = await ask(stream, "HEAD", path, headers)
        finally:
            stream.close()
    except NodeUnreachable as error:
        raise NodeUnreachable(f"error trying to reach service: {error.message}") from error
    except OSError as error:
        raise NodeUnreachable(f"error trying to reach service: {error}") from error
    hosts = frozenset((target.authority, request.headers.get("Host", "")))
    response = web.StreamResponse(status=answered.status, headers=returned(answered.headers, prefix, hosts))
    await response.prepare(request)
    await response.write_eof()
    return response


async def _answered(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, prefix: str, authority: str
) -> web.StreamResponse:
    hosts = frozenset((authority, request.headers.get("Host", "")))
    headers = returned(answer.headers, prefix, hosts)
    if answer.content_type == "text/html" and request.method != "HEAD":
        body = await _page(answer, prefix, hosts)
        headers.popall("Content-Length", None)
        return web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    await while_connected(request, copy_body(answer, response))
    return response


async def _page(answer: aiohttp.ClientResponse, prefix: str, hosts: frozenset[str]) -> bytes:
    """The page with its links rewritten; as it came when it is huge or compressed by something unusual."""
    body = await answer.read()
    encoding = answer.headers.get("Content-Encoding", "identity")
    if len(body) > PAGE_LIMIT or encoding not in ("identity", "gzip"):
        return body
    charset = answer.charset or "utf-8"
    try:
        text = (gzip.decompress(body) if encoding == "gzip" else body).decode(charset)
    except (UnicodeDecodeError, LookupError, OSError):
        return body
    page = rewritten(text, prefix, hosts).encode(charset)
    return gzip.compress(page) if encoding == "gzip" else page


async def copy_body(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientError, ConnectionError):
        response.force_close()
