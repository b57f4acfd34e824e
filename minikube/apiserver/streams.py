"""pods/log, exec, attach and portforward: what the API server decides, then bytes between client and kubelet.

Rules and wording: k8s.io/kubernetes/pkg/registry/core/pod (strategy.go, rest/subresources.go, rest/log.go).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
from aiohttp import HttpVersion11, web
from multidict import MultiMapping
from yarl import URL

from minikube.admission.base import Attributes
from minikube.admission.chain import Chain
from minikube.api.core_v1 import Pod
from minikube.apiserver.proxy import copy_body
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.server import Subresource
from minikube.auth.base import Authorizer, User
from minikube.auth.refusal import refused
from minikube.client.base import Informers
from minikube.errors import (
    ApiError,
    BadRequest,
    FieldError,
    InternalError,
    Invalid,
    NotFound,
    from_status,
)
from minikube.transport.by_hand import pass_on
from minikube.transport.channels import is_websocket
from minikube.transport.hijack import Hijacked, hijack, hijack_response, splice
from minikube.transport.parking import Nodes
from minikube.transport.server import while_connected

LOG_HEADERS = {"Content-Type": "text/plain", "Cache-Control": "no-cache, private"}
LOG_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")
STREAMS = ("stdin", "stdout", "stderr", "tty")
KUBELET_NAMES = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
FORWARDED = (
    "Connection",
    "Upgrade",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "X-Stream-Protocol-Version",
)
"""Of the client's headers, what the kubelet has to see to answer an upgrade."""


class Streams:
    def __init__(self, informers: Informers, nodes: Nodes, authorizer: Authorizer, admission: Chain) -> None:
        self._pods = informers.of(Pod).lister
        self._nodes, self._authorizer, self._admission = nodes, authorizer, admission

    def table(self) -> dict[str, Subresource]:
        return {
            "pods/log": self.log,
            "pods/exec": self.exec,
            "pods/attach": self.attach,
            "pods/portforward": self.port_forward,
        }

    async def log(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        if request.method != "GET":
            raise _method_not_allowed()
        options = log_options(request.query)
        if problems := list(log_problems(options)):
            raise Invalid.of("PodLogOptions", "", info.name, problems)
        pod = self._pod(info)
        container = chosen_container(pod, options.get("container", ""))
        if not pod.spec.node_name:
            return web.Response(status=204)
        asked = {name: value for name, value in options.items() if name != "container"}
        path = URL.build(path=f"/containerLogs/{info.namespace}/{info.name}/{container}", query=asked)
        if is_websocket(request) or request.version < HttpVersion11:
            async with await self._nodes.request(pod.spec.node_name, "GET", str(path)) as answer:
                if answer.status != 200:
                    raise _kubelet_error(answer.status, await answer.read(), "pods/log", info.name)
                return await (_over_websocket if is_websocket(request) else _copied)(request, answer)
        answered = await self._nodes.ask(pod.spec.node_name, "GET", str(path))
        try:
            if answered.status != 200:
                raise _kubelet_error(answered.status, await answered.body(), "pods/log", info.name)
            if answered.chunked:
                return await pass_on(request, answered, LOG_HEADERS)
            return await _whole(request, await answered.body())
        finally:
            answered.stream.close()

    async def exec(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        return await self._command(request, info, user, "PodExecOptions")

    async def attach(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        return await self._command(request, info, user, "PodAttachOptions")

    async def _command(
        self, request: web.BaseRequest, info: RequestInfo, user: User, kind: str
    ) -> web.StreamResponse:
        query = request.query
        flags = {name: True for name in STREAMS if flag(query, name)}
        options: dict[str, Any] = {"kind": kind, "apiVersion": "v1", **flags}
        if container := query.get("container", ""):
            options["container"] = container
        command = list(query.getall("command", ()))
        if kind == "PodExecOptions":
            options["command"] = command
        await self._admit(request, info, user, options)
        pod = self._pod(info)
        container = chosen_container(pod, container)
        asked = [(KUBELET_NAMES[name], "1") for name in flags]
        if kind == "PodExecOptions":
            asked += [("command", word) for word in command]
        path = f"/{info.subresource}/{info.namespace}/{info.name}/{container}"
        return await self._upgraded(request, _host(pod), str(URL.build(path=path).with_query(asked)))

    async def port_forward(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        ports = [port for value in request.query.getall("ports", ()) for port in value.split(",")]
        options: dict[str, Any] = {"kind": "PodPortForwardOptions", "apiVersion": "v1"}
        if ports:
            if not all(port.isdigit() for port in ports):
                raise BadRequest(f"unable to parse {ports!r} as ports")
            options["ports"] = [int(port) for port in ports]
        await self._admit(request, info, user, options)
        pod = self._pod(info)
        path = URL.build(path=f"/portForward/{info.namespace}/{info.name}")
        return await self._upgraded(
            request, _host(pod), str(path.with_query({"port": ",".join(ports)}) if ports else path)
        )

    # ---- the steps -----------------------------------------------------------------------------------

    def _pod(self, info: RequestInfo) -> Pod:
        found = self._pods.get(info.name, info.namespace)
        if found is None:
            raise NotFound.of("pods", "", info.name)
        return found

    async def _admit(
        self, request: web.BaseRequest, info: RequestInfo, user: User, options: dict[str, Any]
    ) -> None:
        """A WebSocket can only GET, but what it does is create; then admission, as a CONNECT."""
        if request.method not in ("GET", "POST"):
            raise _method_not_allowed()
        if request.method == "GET":
            action = msgspec.structs.replace(info.action(), verb="create")
            decision = self._authorizer.authorize(user, action)
            if not decision.allowed:
                raise refused(user, action, decision.reason)
        attributes = Attributes(
            "CONNECT", Pod.resource, info.subresource, info.namespace, info.name, options, None, user
        )
        await self._admission.mutate(attributes)
        await self._admission.validate(attributes)

    async def _upgraded(self, request: web.BaseRequest, node: str, path: str) -> web.StreamResponse:
        """The kubelet answers the upgrade; from then on the bytes are theirs."""
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise BadRequest("Upgrade request required")
        headers = {name: ", ".join(request.headers.getall(name)) for name in FORWARDED if name in request.headers}
        answer = await self._nodes.request(node, request.method, path, headers=headers)
        try:
            if answer.status != 101:
                body = await answer.read()
                kind = answer.headers.get("Content-Type", "text/plain")
                return web.Response(status=answer.status, body=body, headers={"Content-Type": kind})
            backend = hijack_response(answer)
            client = hijack(request, answer.headers)
            await splice(client, backend)
            return Hijacked()
        finally:
            answer.close()


# ---- pure ------------------------------------------------------------------------------------------------


def chosen_container(pod: Pod, name: str) -> str:
    """The container that is meant. Raises BadRequest."""
    spec = pod.spec
    names = [each.name for each in (*spec.init_containers, *spec.containers)]
    names += [each.name for each in spec.ephemeral_containers]
    if name:
        if name not in names:
            raise BadRequest(f"container {name} is not valid for pod {pod.metadata.name}")
        return name
    if len(spec.containers) == 1:
        return spec.containers[0].name
    raise BadRequest(
        f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{' '.join(names)}]"
    )


def log_options(query: MultiMapping[str]) -> dict[str, str]:
    """v1.PodLogOptions of a query, as the kubelet is asked. Raises BadRequest."""
    found = {name: "true" for name in ("follow", "previous", "timestamps") if flag(query, name)}
    for name in ("sinceSeconds", "tailLines", "limitBytes"):
        if text := query.get(name, ""):
            if not text.removeprefix("-").isdigit():
                raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
            found[name] = text
    if text := query.get("sinceTime", ""):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise BadRequest(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
        found["sinceTime"] = text
    for name in ("container", "stream"):
        if text := query.get(name, ""):
            found[name] = text
    return found


def log_problems(options: Mapping[str, str]) -> Iterator[FieldError]:
    """Rules: k8s.io/kubernetes/pkg/apis/core/validation.ValidatePodLogOptions."""
    if (tail := options.get("tailLines")) is not None and int(tail) < 0:
        yield _invalid("tailLines", tail, "must be greater than or equal to 0")
    if (limit := options.get("limitBytes")) is not None and int(limit) < 1:
        yield _invalid("limitBytes", limit, "must be greater than 0")
    seconds = options.get("sinceSeconds")
    if seconds is not None and "sinceTime" in options:
        detail = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        yield FieldError("", "FieldValueForbidden", detail)
    elif seconds is not None and int(seconds) < 1:
        yield _invalid("sinceSeconds", seconds, "must be greater than 0")
    stream = options.get("stream", "All")
    if stream not in ("All", "Stdout", "Stderr"):
        detail = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        yield FieldError("stream", "FieldValueNotSupported", detail)
    elif stream != "All" and "tailLines" in options:
        detail = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        yield FieldError("", "FieldValueForbidden", detail)


def _invalid(field: str, value: str, why: str) -> FieldError:
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {value}: {why}")


def flag(query: MultiMapping[str], name: str) -> bool:
    """As Go's conversion of url.Values has it: anything but 0 and false is true."""
    return name in query and query[name].lower() not in ("0", "false")


def _host(pod: Pod) -> str:
    if not pod.spec.node_name:
        raise BadRequest(f"pod {pod.metadata.name} does not have a host assigned")
    return pod.spec.node_name


def _method_not_allowed() -> ApiError:
    return from_status({"code": 405, "message": "the server does not allow this method on the requested resource"})


# ---- bytes -----------------------------------------------------------------------------------------------


def _kubelet_error(status: int, body: bytes, resource: str, name: str) -> ApiError:
    """Rules: k8s.io/apiserver/pkg/registry/generic/rest.GenericHttpResponseChecker."""
    text = body.decode(errors="replace")
    if status == 500:
        return InternalError(f"Internal error occurred: {text}")
    if status == 400:
        return BadRequest(text)
    details = {"name": name, "kind": resource}
    if status == 404:
        return NotFound(f"the server could not find the requested resource ({resource} {name})", details=details)
    return from_status({"code": status, "message": text, "details": details})


async def _whole(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """A short log; never compressed."""
    response = web.StreamResponse(headers=LOG_HEADERS)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body)
    await response.write_eof()
    return response


async def _copied(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """For HTTP/1.0, which knows no chunks."""
    response = web.StreamResponse(headers=LOG_HEADERS)
    await response.prepare(request)
    await while_connected(request, copy_body(answer, response))
    return response


async def _over_websocket(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Messages of bytes; an empty one first says that the connection stands."""
    socket = web.WebSocketResponse(protocols=LOG_PROTOCOLS, compress=False)
    await socket.prepare(request)
    base64 = (socket.ws_protocol or "").startswith("base64")

    async def send() -> None:
        await socket.send_bytes(b"")
        async for chunk in answer.content.iter_any():
            await (socket.send_str(b64encode(chunk).decode()) if base64 else socket.send_bytes(chunk))
        await socket.close()

    await while_connected(request, send())
    return socket
