"""Several streams in one WebSocket: the subprotocols `[vN.][base64.]channel.k8s.io`, and byte streams over one.

A message's first byte is its channel (base64: the digit). v5 adds channel 255: "this channel is closed".
Rules: k8s.io/apiserver wsstream, k8s.io/kubelet remotecommand and portforward.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from minikube.transport.hijack import LOOK_SECONDS, TCP_ESTABLISHED, departure, tcp_state

REMOTE_COMMAND = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
PORT_FORWARD = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"
CLOSE = 255
MESSAGE_LIMIT = 16 * 1024 * 1024


def is_websocket(request: web.BaseRequest) -> bool:
    upgrades = request.headers.get("Upgrade", "").lower()
    return upgrades == "websocket" and "upgrade" in request.headers.get("Connection", "").lower()


def offered(request: web.BaseRequest) -> Sequence[str]:
    """The subprotocols that the client asks for."""
    return [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]


class Channels:
    """A WebSocket as numbered channels."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None) -> None:
        self._socket, self._transport = socket, transport
        protocol = socket.ws_protocol or ""
        self.base64 = "base64" in protocol
        self.version = int(protocol[1]) if protocol[:1] == "v" else 1

    @classmethod
    async def accept(cls, request: web.BaseRequest, protocols: Sequence[str]) -> Channels:
        """Raises web.HTTPBadRequest."""
        socket = web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=MESSAGE_LIMIT)
        await socket.prepare(request)
        return cls(socket, request.transport)

    @property
    def response(self) -> web.StreamResponse:
        return self._socket

    async def receive(self) -> tuple[int, bytes] | None:
        """(channel, data); None when the client has gone. Messages without a channel are left out."""
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                data: bytes = message.data
            elif message.type is WSMsgType.TEXT:
                data = message.data.encode()
            else:
                return None
            if not data:
                continue
            if not self.base64:
                return data[0], data[1:]
            try:
                return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
            except binascii.Error:
                return None

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ConnectionError."""
        if self.base64:
            await self._socket.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
        else:
            await self._socket.send_bytes(bytes((channel,)) + data)

    async def ping(self) -> None:
        """A peer that has left answers by a reset. Raises ConnectionError."""
        await self._socket.ping()

    async def left(self) -> None:
        """Returns when the client has left, while nothing is received: its FIN may be queued behind what it sent,
        so it is pinged."""
        while tcp_state(self._transport) == TCP_ESTABLISHED:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.ping()

    async def close(self) -> None:
        await self._socket.close()


class Tunnel:
    """A WebSocket whose binary messages are simply the bytes of a stream (`SPDY/3.1+portforward.k8s.io`)."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None) -> None:
        self._socket, self._transport = socket, transport
        self._closing: asyncio.Task[bool] | None = None

    @classmethod
    async def accept(cls, request: web.BaseRequest) -> Tunnel:
        socket = web.WebSocketResponse(protocols=(SPDY_TUNNEL,), compress=False, max_msg_size=MESSAGE_LIMIT)
        await socket.prepare(request)
        return cls(socket, request.transport)

    @property
    def response(self) -> web.StreamResponse:
        return self._socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                if message.data:
                    data: bytes = message.data
                    return data
            elif message.type is not WSMsgType.TEXT:
                return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._socket.close(), name="close a tunnel")

    async def left(self) -> None:
        await departure(self._transport)
