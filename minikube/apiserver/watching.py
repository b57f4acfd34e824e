"""Watches as clients hear them: one JSON event a line over chunked HTTP, one a message over WebSocket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from aiohttp import WSMsgType, web

from minikube.apiserver import protobuf_views, views
from minikube.apiserver.flow_matching import FLOW
from minikube.apiserver.negotiation import JSON, PROTOBUF, Wanted
from minikube.apiserver.warnings import WARNINGS, warning_headers
from minikube.kit.clock import Clock
from minikube.registry.base import Change
from minikube.resources.base import Kind
from minikube.schema.protobuf_encode import LENGTH

MIN_WATCH_SECONDS = 1800
PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io", "v4.channel.k8s.io")
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is cut off."""
AT_ONCE = 1 << 15
"""Bytes that a client which has taken everything so far is sent without a look at the clock."""

Events = AsyncIterator[Sequence[Change]]


def seconds_of(asked: int) -> float:
    """How long a watch lasts; unasked for, between half an hour and an hour, so that not all end at once."""
    return asked or MIN_WATCH_SECONDS * (1 + random.random())


class Watching:
    """One watch of a kind in the view that was asked for."""

    def __init__(self, kind: Kind, offer: Wanted, include: str, clock: Clock) -> None:
        self._kind = kind
        self._offer = offer
        self._include = include
        self._clock = clock
        self._headers = True
        """Of Tables the first says its columns, the others have the same."""

    async def answer(self, request: web.BaseRequest, events: Events, seconds: float) -> web.StreamResponse:
        """Until the time is over or the client goes."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._messages(request, events, seconds)
        return await self._lines(request, events, seconds)

    async def _lines(self, request: web.BaseRequest, events: Events, seconds: float) -> web.StreamResponse:
        media = f"{PROTOBUF};stream=watch" if self._offer.media == PROTOBUF else JSON
        headers = {"Content-Type": media, "Cache-Control": "no-cache, private", **request.get(FLOW, {})}
        response = web.StreamResponse(headers=headers)
        for warning in warning_headers(request[WARNINGS]):
            response.headers.add("Warning", warning)
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            async with asyncio.timeout(seconds):
                async for batch in events:
                    if not await self._written(request, response, batch):
                        return response
        except TimeoutError:
            with suppress(ConnectionError):
                await response.write_eof()
        except ConnectionError:
            return response
        return response

    async def _written(
        self, request: web.BaseRequest, response: web.StreamResponse, batch: Sequence[Change]
    ) -> bool:
        """False: the client took nothing for too long and is cut off."""
        lines, transport = b"".join(self._encoded(batch)), request.transport
        if transport is not None and len(lines) < AT_ONCE and not transport.get_write_buffer_size():
            await response.write(lines)  # which has nothing to wait for
            return True
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await response.write(lines)
        except TimeoutError:
            if transport is not None:
                transport.abort()
            return False
        return True

    async def _messages(self, request: web.BaseRequest, events: Events, seconds: float) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=PROTOCOLS)
        for warning in warning_headers(request[WARNINGS]):
            socket.headers.add("Warning", warning)
        await socket.prepare(request)
        sending = asyncio.create_task(self._send(request, socket, events), name="websocket watch")
        try:
            async with asyncio.timeout(seconds):
                async for message in socket:
                    if message.type in (WSMsgType.CLOSE, WSMsgType.ERROR):
                        break
        except (TimeoutError, ConnectionError):
            pass
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await socket.close()
        return socket

    async def _send(self, request: web.BaseRequest, socket: web.WebSocketResponse, events: Events) -> None:
        try:
            async for batch in events:
                for line in self._encoded(batch):
                    async with asyncio.timeout(SEND_SECONDS):
                        if self._offer.media == PROTOBUF:
                            await socket.send_bytes(line[LENGTH:])
                        else:
                            await socket.send_str(line.decode())
            await socket.close()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()

    def _encoded(self, batch: Sequence[Change]) -> list[bytes]:
        now = self._clock.now()
        return [self._line(one, now) for one in batch]

    def _line(self, one: Change, now: datetime) -> bytes:
        kind, offer = self._kind, self._offer
        if offer.media == PROTOBUF:
            return protobuf_views.change(kind, one, offer.view)
        if one.type == "ERROR":
            return views.change(kind, "ERROR", msgspec.json.encode(one.status))
        headers, self._headers = self._headers, False
        if one.type == "BOOKMARK":
            return views.bookmark(kind, one, offer.view, headers=headers)
        assert one.object is not None
        shown = views.one(kind, one.object, offer, self._include, now, headers=headers)
        return views.change(kind, one.type, shown)
