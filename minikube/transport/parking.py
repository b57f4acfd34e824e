"""Connections that agents park at a server: they dial out, then the roles swap and the agent serves HTTP on them.

An agent asks `GET /minikube/v1/nodes/{name}/connection` with `Upgrade: minikube-node`. After the 101 the connection
waits in the pool of that node until the server needs one; the server then writes ordinary requests on it, one
stream a connection, and the agent dials a new one at once. No multiplexing protocol: TLS, TCP and HTTP do it all.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableSet
from functools import partial
from typing import Any
from weakref import WeakSet

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from minikube.errors import NodeUnreachable
from minikube.kit.backoff import Backoff
from minikube.transport.by_hand import Answered, ask
from minikube.transport.client import watch
from minikube.transport.hijack import RawStream, hijack_response
from minikube.transport.server import Handler

log = logging.getLogger(__name__)

UPGRADE = "minikube-node"
SEEN_FROM = "Minikube-Seen-From"
"""The header in which a server tells the agent from which address it has come."""
IDLE = 4
"""Connections an agent keeps parked at each server."""
DIAL_SECONDS = 20.0
PATIENCE = 3.0
"""Seconds that a request waits for a connection of its node: the time in which an agent comes back."""

Dial = Callable[[], Awaitable[RawStream]]
"""Opens a connection that is already parked at the other end. Raises OSError or aiohttp.ClientError."""


class Nodes:
    """The server's end: what is parked, and HTTP over it. `async with` closes everything in the end."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._parked: dict[str, deque[RawStream]] = {}
        self._waiting: dict[str, deque[asyncio.Future[RawStream]]] = {}
        self._all: dict[str, MutableSet[RawStream]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Nodes:
        self._session = streaming_session(lambda node, port: self.take(node))
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in list(self._all):
            self.revoke(node)
        if self._session is not None:
            await self._session.close()

    def park(self, node: str, stream: RawStream) -> None:
        """A connection of this node, whose identity has been checked. Whoever waits for one gets it at once."""
        watch_peer(stream)
        self._all.setdefault(node, WeakSet()).add(stream)
        waiting = self._waiting.get(node)
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(stream)
                return
        self._parked.setdefault(node, deque()).append(stream)

    def connected(self, node: str) -> bool:
        return any(stream.open for stream in self._parked.get(node, ()))

    def revoke(self, node: str) -> None:
        """Close every connection of this node, also those in use."""
        self._parked.pop(node, None)
        for stream in list(self._all.pop(node, ())):
            stream.abort()

    async def take(self, node: str) -> RawStream:
        """A connection on which nothing has been said yet. Raises NodeUnreachable."""
        parked = self._parked.get(node)
        while parked:
            stream = parked.popleft()
            if stream.open:
                return stream
        future: asyncio.Future[RawStream] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(node, deque()).append(future)
        try:
            async with asyncio.timeout(self._patience):
                return await future
        except TimeoutError:
            if future.done() and not future.cancelled():
                return future.result()
            raise NodeUnreachable(f'error dialing backend: no connection from the agent of node "{node}"') from None

    async def request(
        self,
        node: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> aiohttp.ClientResponse:
        """Ask the kubelet of a node; `path` with its encoded query. Use as `async with await ...`.
        Raises NodeUnreachable."""
        assert self._session is not None, "use `async with Nodes()`"
        url = URL(f"http://{node}{path}", encoded=True)
        try:
            return await self._session.request(method, url, headers=headers, data=data, allow_redirects=False)
        except (aiohttp.ClientError, OSError) as error:
            raise NodeUnreachable(f"error dialing backend: {error}") from error

    async def ask(self, node: str, method: str, path: str) -> Answered:
        """The same, by hand: what follows the head of the answer is left on its stream, which is to be closed.
        Raises NodeUnreachable."""
        stream = await self.take(node)
        try:
            return await ask(stream, method, path, {"Host": node, "Connection": "close"})
        except BaseException as error:
            stream.abort()
            if isinstance(error, ConnectionError):
                raise NodeUnreachable(f"error dialing backend: {error}") from error
            raise

    async def dial(self, node: str, host: str, port: int, *, tls: bool = False) -> RawStream:
        """A connection to host:port as that node sees it (a pod, or the node itself), through its agent.
        With `tls` the agent speaks TLS to it, unverified as kube-apiserver's proxies do. Raises NodeUnreachable."""
        query = URL.build(path="/dial", query={"host": host, "port": str(port), "tls": "1" if tls else ""})
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = await self.request(node, "POST", str(query), headers=headers)
        if response.status != 101:
            text = (await response.text()).strip()
            response.close()
            raise NodeUnreachable(text or f"error dialing backend: {response.status}")
        return hijack_response(response)

    def local(self, node: str) -> Dial:
        """How the agent inside this very process parks: a socket pair, the same HTTP, no TLS."""

        async def dial() -> RawStream:
            ours, theirs = socket.socketpair()
            loop = asyncio.get_running_loop()
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            _, parked = await loop.create_unix_connection(RawStream, sock=ours)
            _, stream = await loop.create_unix_connection(RawStream, sock=theirs)
            self.park(node, parked)
            return stream

        return dial


class Tls(msgspec.Struct, frozen=True):
    """TLS of ours on a connection: whom to trust, and the name that the other end has to prove."""

    context: ssl.SSLContext
    server_name: str


class StreamConnector(aiohttp.BaseConnector):
    """A session's connections come from `open(host, port)`, whatever way that takes; HTTP is spoken on them."""

    def __init__(self, open: Callable[[str, int], Awaitable[RawStream]], tls: Tls | None = None) -> None:
        super().__init__(limit=0, keepalive_timeout=10)
        self._open, self._tls = open, tls

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        stream = await self._open(req.url.raw_host or "", req.url.port or 0)
        assert stream.transport is not None
        protocol = _OverStream(self._loop, stream)
        if self._tls is None:
            stream.transport.set_protocol(protocol)
            protocol.connection_made(stream.transport)
            return protocol
        context, name = self._tls.context, self._tls.server_name
        inner = await self._loop.start_tls(stream.transport, protocol, context, server_hostname=name)
        if inner is None:
            raise ConnectionResetError("the connection was closed during the TLS handshake")
        protocol.connection_made(inner)
        return protocol


class _OverStream(ResponseHandler):
    """HTTP on what was a plain stream; whoever had that still hears of its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, former: RawStream) -> None:
        super().__init__(loop)
        self._former = former

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc if isinstance(exc, Exception) else None)


def streaming_session(
    open: Callable[[str, int], Awaitable[RawStream]], tls: Tls | None = None
) -> aiohttp.ClientSession:
    """For proxies: nothing is added, followed, unpacked or timed out."""
    return aiohttp.ClientSession(
        connector=StreamConnector(open, tls),
        timeout=aiohttp.ClientTimeout(total=None, connect=None),
        auto_decompress=False,
        read_bufsize=1 << 18,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )


def watch_peer(stream: RawStream) -> None:
    sock = stream.transport.get_extra_info("socket") if stream.transport is not None else None
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        watch(sock)


class Parker:
    """The agent's end: keeps `idle` connections parked at one server and serves what is asked on them."""

    def __init__(self, handler: Handler, dial: Dial, *, name: str, idle: int = IDLE) -> None:
        self._server = web.Server(handler, access_log=None, handler_cancellation=True)
        self._dial, self._name, self._idle = dial, name, idle

    async def run(self) -> None:
        """Until cancelled; comes back by itself, with a jittered back-off."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._idle):
                group.create_task(self._keep(), name=f"connection {number} parked at {self._name}")

    async def _keep(self) -> None:
        backoff = Backoff[str](base=0.2, limit=15)
        while True:
            try:
                stream = await self._dial()
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                log.debug("cannot park at %s: %s", self._name, error)
                await asyncio.sleep(backoff.next("") * (0.5 + random.random()))
                continue
            watch_peer(stream)
            try:
                head = await stream.read()
            except asyncio.CancelledError:
                stream.abort()
                raise
            if head:
                backoff.forget("")
                self._serve(stream, head)
            else:
                stream.close()
                await asyncio.sleep(backoff.next("") * (0.5 + random.random()))

    def _serve(self, stream: RawStream, head: bytes) -> None:
        assert stream.transport is not None
        protocol = self._server()
        stream.transport.set_protocol(protocol)
        protocol.connection_made(stream.transport)
        protocol.data_received(head)


class Parkers:
    """An agent's connections at every server that it knows. `context` is asked before each is dialled: certificates
    change. `seen` is told from which address each server sees us."""

    def __init__(
        self, handler: Handler, node: str, context: Callable[[], ssl.SSLContext], seen: Callable[[str, str], None]
    ) -> None:
        self._handler, self._node, self._context, self._seen = handler, node, context, seen
        self._servers: frozenset[str] = frozenset()
        self._changed = asyncio.Event()

    def at(self, servers: Iterable[str]) -> None:
        """Park at exactly these URLs from now on."""
        self._servers = frozenset(server.rstrip("/") for server in servers)
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            parkers: dict[str, asyncio.Task[None]] = {}
            while True:
                self._changed.clear()
                for server in parkers.keys() - self._servers:
                    parkers.pop(server).cancel()
                for server in self._servers - parkers.keys():
                    parker = Parker(self._handler, partial(self._park_at, URL(server)), name=server)
                    parkers[server] = group.create_task(parker.run(), name=f"connections parked at {server}")
                await self._changed.wait()

    async def _park_at(self, server: URL) -> RawStream:
        """Raises OSError, with the server's refusal."""
        loop = asyncio.get_running_loop()
        host, port = server.host or "", server.port or 443
        headers = {"Host": server.authority, "Connection": "Upgrade", "Upgrade": UPGRADE}
        async with asyncio.timeout(DIAL_SECONDS):
            _, stream = await loop.create_connection(RawStream, host, port, ssl=self._context())
            try:
                answer = await ask(stream, "GET", f"/minikube/v1/nodes/{self._node}/connection", headers)
                if answer.status != 101:
                    text = (await stream.read()).decode(errors="replace")
                    raise ConnectionRefusedError(f"{server} answered {answer.status}: {text[:300]}")
            except BaseException:
                stream.abort()
                raise
        self._seen(str(server), answer.headers.get(SEEN_FROM, ""))
        return stream
