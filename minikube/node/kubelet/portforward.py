"""Port-forward: TCP connections into a pod's network namespace, over SPDY or a WebSocket.

Rules: k8s.io/kubelet/pkg/cri/streaming/portforward. SPDY: for each connection a pair of streams (data, error) with
the same request id; kubectl since 1.31 tunnels that through a WebSocket. Channels: two a port (data 2n, error
2n+1), each begins with the port as two bytes, little-endian.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from minikube.transport.channels import CLOSE, PORT_FORWARD, SPDY_TUNNEL, Channels, Tunnel, is_websocket, offered
from minikube.transport.hijack import ByteStream, Hijacked, RawStream, hijack
from minikube.transport.spdy import SpdyConnection, SpdyStream

PROTOCOL = "portforward.k8s.io"
AHEAD = 64

Dial = Callable[[int], Awaitable[RawStream]]
"""Connects to a port of the pod. Raises OSError with what the client is to read."""


async def serve(request: web.BaseRequest, dial: Dial) -> web.StreamResponse:
    """Answer 101 and forward until the client leaves. Raises ValueError on a bad request."""
    if not is_websocket(request):
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": PROTOCOL}
        await forward_spdy(hijack(request, headers), dial)
        return Hijacked()
    if SPDY_TUNNEL in offered(request):
        tunnel = await Tunnel.accept(request)
        await forward_spdy(tunnel, dial)
        return tunnel.response
    ports = ports_of(request)
    channels = await Channels.accept(request, PORT_FORWARD)
    await forward_channels(channels, ports, dial)
    return channels.response


def ports_of(request: web.BaseRequest) -> Sequence[int]:
    """Of the query, as channels need them. Raises ValueError."""
    texts = [text for value in request.query.getall("port", []) for text in value.split(",")]
    if not texts:
        raise ValueError('query parameter "port" is required')
    ports = []
    for text in texts:
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise ValueError(f'unable to parse "{text}" as a port')
        ports.append(int(text))
    return ports


async def forward_spdy(carrier: ByteStream, dial: Dial) -> None:
    waiting: dict[str, SpdyStream] = {}
    async with SpdyConnection(carrier, server=True) as spdy, asyncio.TaskGroup() as pairs:
        connections: set[asyncio.Task[None]] = set()
        while (stream := await spdy.accept()) is not None:
            key = stream.headers.get("requestid") or str(stream.number - stream.number % 4)
            other = waiting.pop(key, None)
            if other is None:
                waiting[key] = stream
                continue
            data, error = (stream, other) if stream.headers.get("streamtype") == "data" else (other, stream)
            task = pairs.create_task(_forward(data, error, dial), name="forwarded connection")
            connections.add(task)
            task.add_done_callback(connections.discard)
        for task in connections:
            task.cancel()


async def _forward(data: SpdyStream, error: SpdyStream, dial: Dial) -> None:
    """One connection. An error is told on its stream and closes only this pair."""
    try:
        try:
            target = await dial(int(data.headers.get("port", "0")))
        except (OSError, ValueError) as failure:
            await error.write(str(failure).encode())
            await error.close()
            await data.reset()
            return
        try:
            await both(_copy(data, target), _copy(target, data))
        finally:
            target.close()
        await error.close()
        await data.close()
    except ConnectionError:
        return


async def _copy(source: SpdyStream | RawStream, sink: SpdyStream | RawStream) -> None:
    """All of `source`, and then its end."""
    try:
        while chunk := await source.read():
            await sink.write(chunk)
        if isinstance(sink, RawStream):
            sink.write_eof()
        else:
            await sink.close()
    except ConnectionError:
        return


async def both(client: Awaitable[None], target: Awaitable[None]) -> None:
    """Until the target has said everything; what the client still sends then has no reader."""
    sending = asyncio.ensure_future(client)
    try:
        await target
    finally:
        sending.cancel()
        await asyncio.wait([sending])


async def forward_channels(channels: Channels, ports: Sequence[int], dial: Dial) -> None:
    """Until the client leaves, or every port's target has said everything: the end of the WebSocket tells that."""
    inputs = [asyncio.Queue[bytes](AHEAD) for _ in ports]
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await channels.send(channel, port.to_bytes(2, "little"))
    forwarding: asyncio.Future[Any] = asyncio.gather(
        *(_channel(channels, index, port, inputs[index], dial) for index, port in enumerate(ports))
    )
    reading: asyncio.Future[Any] = asyncio.create_task(
        _distribute(channels, inputs), name="client of forwarded ports"
    )
    try:
        done, _ = await asyncio.wait({forwarding, reading}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forwarding.cancel()
        reading.cancel()
        await asyncio.gather(forwarding, reading, return_exceptions=True)
        await channels.close()
    for task in done:
        task.result()


async def _distribute(channels: Channels, inputs: Sequence[asyncio.Queue[bytes]]) -> None:
    """What the client sends, to the ports it is for, until it leaves."""
    while (message := await channels.receive()) is not None:
        channel, data = message
        if channel == CLOSE and data and data[0] % 2 == 0 and data[0] // 2 < len(inputs):
            taken = await _offer(channels, inputs[data[0] // 2], b"")
        elif channel % 2 == 0 and channel // 2 < len(inputs) and data:
            taken = await _offer(channels, inputs[channel // 2], data)
        else:
            continue
        if not taken:
            return


async def _offer(channels: Channels, queue: asyncio.Queue[bytes], data: bytes) -> bool:
    """False: the client has left while nobody took what it sent before."""
    if not queue.full():
        queue.put_nowait(data)
        return True
    putting = asyncio.create_task(queue.put(data), name="forwarded data")
    leaving = asyncio.create_task(channels.left(), name="client of a forwarded port")
    try:
        await asyncio.wait({putting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return putting.done()
    finally:
        for task in (putting, leaving):
            task.cancel()
        await asyncio.wait({putting, leaving})


async def _channel(channels: Channels, index: int, port: int, inputs: asyncio.Queue[bytes], dial: Dial) -> None:
    async def sending(target: RawStream) -> None:
        while data := await inputs.get():
            await target.write(data)
        target.write_eof()

    async def receiving(target: RawStream) -> None:
        while data := await target.read():
            await channels.send(2 * index, data)

    try:
        target = await dial(port)
    except OSError as error:
        await channels.send(2 * index + 1, str(error).encode())
        return
    try:
        await both(sending(target), receiving(target))
    except ConnectionError:
        return
    finally:
        target.close()
