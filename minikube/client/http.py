"""The client protocol over HTTPS: JSON in and out, one connection pool, watches as streams of lines."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from minikube.api.autoscaling_v1 import Scale
from minikube.api.meta import ListMeta, Object, PartialObject, Resource, T, decode, encode
from minikube.client.base import ObjectList, PatchType, WatchEvent
from minikube.errors import ApiError, ServiceUnavailable, from_status
from minikube.transport.client import watchful_socket

log = logging.getLogger(__name__)

TokenSource = Callable[[], Awaitable[str]]
REQUEST_SECONDS = 30.0
WATCH_IDLE_SECONDS = 3600.0
PAGE = 500
LINE_LIMIT = 16 * 1024 * 1024


class _Page(msgspec.Struct):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] = []


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_page = msgspec.json.Decoder(_Page)
_decode_line = msgspec.json.Decoder(_Line)


class _Pool:
    """Connections made with one certificate; `async with` while a request uses one of them."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self._users = 0
        self._retired = False

    async def __aenter__(self) -> aiohttp.ClientSession:
        self._users += 1
        return self.session

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if self._retired and not self._users:
            await self.session.close()

    async def retire(self) -> None:
        """Closes when the last request on it has ended."""
        self._retired = True
        if not self._users:
            await self.session.close()


class HttpClient:
    """Use as `async with HttpClient(url, context) as client`; `token` is asked before every request."""

    def __init__(
        self,
        base_url: str,
        context: ssl.SSLContext | None = None,
        token: TokenSource | None = None,
        *,
        user_agent: str = "minikube",
    ) -> None:
        self._base = base_url.rstrip("/")
        self._servers: tuple[str, ...] = (self._base,)
        self._answered = ""
        self._context = context
        self._token = token
        self._agent = user_agent
        self._pool: _Pool | None = None
        self.unauthorized = False
        """The last answer was that our credentials are not good (any more)."""
        self.when_unauthorized: Callable[[], None] = lambda: None
        """Called when that begins."""

    async def __aenter__(self) -> HttpClient:
        self._pool = self._new_pool()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.session.close()

    def use(self, servers: Sequence[str]) -> None:
        """Any of these URLs will do: when one cannot be reached, the next is tried."""
        self._servers = tuple(each.rstrip("/") for each in servers) or self._servers
        if self._base not in self._servers:
            self._base = self._servers[0]

    def _leave(self, server: str) -> None:
        """It cannot be reached."""
        if server == self._base and len(self._servers) > 1:
            place = self._servers.index(server) + 1
            self._base = self._servers[place % len(self._servers)]

    def _arrived(self, server: str) -> None:
        """It has answered."""
        if server != self._answered:
            if self._answered:
                log.warning("changed over from %s to %s", self._answered, server)
            self._answered = server

    async def renew(self, context: ssl.SSLContext) -> None:
        """Connect with this context from now on; what is under way, watches too, goes on undisturbed."""
        self._context, self.unauthorized = context, False
        old, self._pool = self._pool, self._new_pool()
        if old is not None:
            await old.retire()

    def _new_pool(self) -> _Pool:
        connector = aiohttp.TCPConnector(
            ssl=self._context if self._context is not None else True,
            limit=0,
            keepalive_timeout=90,
            socket_factory=watchful_socket,
        )
        return _Pool(
            aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._agent, "Accept": "application/json"},
                read_bufsize=LINE_LIMIT,
                auto_decompress=True,
            )
        )

    # ---- typed objects -------------------------------------------------------------------------------

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        return decode(kind, await self._send("GET", kind.resource.path(namespace, name)))

    async def list(
        self, kind: type[T], namespace: str = "", *, labels: str = "", fields: str = "", resource_version: str = ""
    ) -> ObjectList[T]:
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        raw, revision = await self._pages(kind.resource.path(namespace), query)
        return ObjectList(tuple([decode(kind, bytes(item)) for item in raw]), revision)

    @asynccontextmanager
    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
    ) -> AsyncIterator[AsyncIterator[WatchEvent[T]]]:
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        query |= {"watch": "1", "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_IDLE_SECONDS)
        server = self._base
        async with self._opened() as session:
            try:
                response = await session.get(
                    server + kind.resource.path(namespace),
                    params=query,
                    headers=await self._authorization(),
                    timeout=timeout,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._leave(server)
                raise _unreachable(error) from error
            try:
                if response.status >= 400:
                    raise _refused(response.status, await response.read())
                yield _events(kind, response)
            finally:
                response.close()

    async def create(self, obj: T, *, dry_run: bool = False) -> T:
        query = {"dryRun": "All"} if dry_run else {}
        path = obj.resource.path(obj.metadata.namespace)
        return decode(type(obj), await self._send("POST", path, encode(obj), query=query))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        meta = obj.metadata
        path = obj.resource.path(meta.namespace, meta.name, subresource)
        return decode(type(obj), await self._send("PUT", path, encode(obj)))

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        patch: Mapping[str, Any] | Sequence[Any],
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        force: bool = False,
    ) -> T:
        query = {"force": "true"} if force else {}
        if type is PatchType.APPLY:
            query["fieldManager"] = self._agent
        path = kind.resource.path(namespace, name, subresource)
        body = msgspec.json.encode(patch)
        media = f"application/{type.value}"
        return decode(kind, await self._send("PATCH", path, body, query=query, media=media))

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str = "",
    ) -> None:
        options = _delete_options(uid, resource_version, grace_period_seconds, propagation_policy)
        await self._send("DELETE", kind.resource.path(namespace, name), options)

    async def delete_collection(self, kind: type[T], namespace: str = "", *, labels: str = "") -> None:
        await self._send("DELETE", kind.resource.path(namespace), query=_query(labelSelector=labels))

    async def create_subresource(
        self, kind: type[Object], name: str, namespace: str, subresource: str, body: T
    ) -> T:
        path = kind.resource.path(namespace, name, subresource)
        data = await self._send("POST", path, encode(body))
        answer = msgspec.json.decode(data)
        return body if answer.get("kind") == "Status" else decode(type(body), data)

    async def get_scale(self, resource: Resource, name: str, namespace: str = "") -> Scale:
        return decode(Scale, await self._send("GET", resource.path(namespace, name, "scale")))

    async def set_scale(self, resource: Resource, name: str, namespace: str = "", *, replicas: int) -> Scale:
        body = msgspec.json.encode({"spec": {"replicas": replicas}})
        path, media = resource.path(namespace, name, "scale"), f"application/{PatchType.MERGE.value}"
        return decode(Scale, await self._send("PATCH", path, body, media=media))

    # ---- kinds known only at run time ----------------------------------------------------------------

    async def get_partial(self, resource: Resource, name: str, namespace: str = "") -> PartialObject:
        return decode(PartialObject, await self._send("GET", resource.path(namespace, name)))

    async def list_partial(self, resource: Resource, namespace: str = "") -> ObjectList[PartialObject]:
        raw, revision = await self._pages(resource.path(namespace), {})
        return ObjectList(tuple([decode(PartialObject, bytes(item)) for item in raw]), revision)

    async def patch_partial(
        self, resource: Resource, name: str, namespace: str = "", *, patch: Mapping[str, Any]
    ) -> PartialObject:
        media = f"application/{PatchType.MERGE.value}"
        body = msgspec.json.encode(patch)
        return decode(PartialObject, await self._send("PATCH", resource.path(namespace, name), body, media=media))

    async def delete_partial(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        propagation_policy: str = "",
    ) -> None:
        options = _delete_options(uid, resource_version, None, propagation_policy)
        await self._send("DELETE", resource.path(namespace, name), options)

    async def resources(self) -> Sequence[Resource]:
        roots = ["/api/v1"]
        groups = await self.request("GET", "/apis")
        roots += [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups["groups"]]
        found: list[Resource] = []
        for document in await asyncio.gather(*(self.request("GET", root) for root in roots)):
            group, _, version = document["groupVersion"].rpartition("/")
            found += [
                Resource(group, version, entry["kind"], entry["name"], entry["namespaced"])
                for entry in document["resources"]
                if "/" not in entry["name"] and {"list", "delete"} <= set(entry["verbs"])
            ]
        return found

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        data = await self._send(method, path, msgspec.json.encode(body) if body is not None else None)
        return msgspec.json.decode(data)

    # ---- the wire ------------------------------------------------------------------------------------

    async def _pages(self, path: str, query: dict[str, str]) -> tuple[Sequence[msgspec.Raw], str]:
        """Everything, asked for in pages of one snapshot."""
        items: Any = []
        query = {**query, "limit": str(PAGE)}
        while True:
            page = _decode_page.decode(await self._send("GET", path, query=query))
            items += page.items
            if not page.metadata.continue_:
                return items, page.metadata.resource_version
            query = {**query, "continue": page.metadata.continue_}
            query.pop("resourceVersion", None)

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = "application/json",
    ) -> bytes:
        headers, server = await self._authorization(), self._base
        if body is not None:
            headers["Content-Type"] = media
        try:
            async with (
                self._opened() as session,
                session.request(
                    method,
                    server + path,
                    params=query,
                    data=body,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
                ) as response,
            ):
                data = await response.read()
                status = response.status
                before, self.unauthorized = self.unauthorized, status == 401
                if self.unauthorized and not before:
                    self.when_unauthorized()
                self._arrived(server)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._leave(server)
            raise _unreachable(error) from error
        if status >= 400:
            raise _refused(status, data)
        return data

    async def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._token()}"} if self._token is not None else {}

    def _opened(self) -> _Pool:
        if self._pool is None:
            raise ServiceUnavailable("the client is not open")
        return self._pool


async def _events(kind: type[T], response: aiohttp.ClientResponse) -> AsyncIterator[WatchEvent[T]]:
    """One event a line, however long the line; ends when the server ends the stream."""
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line:
                    yield _event(kind, line)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unreachable(error) from error


def _event(kind: type[T], line: bytes) -> WatchEvent[T]:
    event = _decode_line.decode(line)
    if event.type == "ERROR":
        raise from_status(msgspec.json.decode(event.object))
    return WatchEvent(event.type, decode(kind, bytes(event.object)))


def _refused(status: int, data: bytes) -> ApiError:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        found = None
    if isinstance(found, dict) and found.get("kind") == "Status":
        return from_status(found)
    return from_status({"code": status, "message": data[:500].decode("utf-8", "replace").strip()})


def _unreachable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"the server cannot be reached: {error or type(error).__name__}")


def _query(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _delete_options(uid: str, resource_version: str, grace: int | None, policy: str) -> bytes:
    preconditions = _query(uid=uid, resourceVersion=resource_version)
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if preconditions:
        options["preconditions"] = preconditions
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if policy:
        options["propagationPolicy"] = policy
    return msgspec.json.encode(options)
