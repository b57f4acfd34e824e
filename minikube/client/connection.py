"""The connection to the API servers: one pool, one certificate, and whichever of the servers answers."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from minikube.errors import ApiError, ServiceUnavailable, from_status
from minikube.transport.client import watchful_socket

log = logging.getLogger(__name__)

TokenSource = Callable[[], Awaitable[str]]
REQUEST_SECONDS = 30.0
WATCH_IDLE_SECONDS = 3600.0
LINE_LIMIT = 16 * 1024 * 1024


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


class Connection:
    """Open it with `async with`; `token` is asked before every request. Raises ApiError: ServiceUnavailable when no
    server is reached, else what the server said."""

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

    async def __aenter__(self) -> Self:
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

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        media: str = "application/json",
    ) -> bytes:
        """The body of the answer; `media` is that of `body`."""
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

    @asynccontextmanager
    async def lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer that goes on for as long as the server likes, line by line, however long those are."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=WATCH_IDLE_SECONDS)
        server = self._base
        async with self._opened() as session:
            try:
                response = await session.get(
                    server + path, params=query, headers=await self._authorization(), timeout=timeout
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._leave(server)
                raise _unreachable(error) from error
            try:
                if response.status >= 400:
                    raise _refused(response.status, await response.read())
                yield _lines(response)
            finally:
                response.close()

    async def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self._token()}"} if self._token is not None else {}

    def _opened(self) -> _Pool:
        if self._pool is None:
            raise ServiceUnavailable("the client is not open")
        return self._pool


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line:
                    yield line
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unreachable(error) from error


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
