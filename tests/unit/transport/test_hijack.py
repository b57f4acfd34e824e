"""Pinned to aiohttp's version: `transport/hijack.py` knows its insides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from minikube.transport.by_hand import ask
from minikube.transport.hijack import (
    HIGH_WATER,
    Hijacked,
    RawStream,
    dial,
    hijack,
    hijack_response,
    splice,
)

UPGRADE = {"Connection": "Upgrade", "Upgrade": "raw"}
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def test_this_is_the_aiohttp_that_hijacking_was_written_for() -> None:
    assert aiohttp.__version__.startswith("3.14.")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[web.Server, int]]:
    server = web.Server(handler)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield server, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    stream = hijack(request, UPGRADE)
    while data := await stream.read():
        await stream.write(data)
    return Hijacked()


async def read_all(stream: RawStream) -> bytes:
    out = b""
    while data := await stream.read():
        out += data
    return out


async def pair() -> tuple[RawStream, RawStream]:
    """Two ends of one TCP connection."""
    accepted: asyncio.Queue[RawStream] = asyncio.Queue()

    def made() -> RawStream:
        stream = RawStream()
        accepted.put_nowait(stream)
        return stream

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    one = await dial("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()
    return one, await accepted.get()


async def test_bytes_flow_both_ways_after_the_101_and_nothing_stays_behind() -> None:
    async with serving(echo) as (server, port):
        stream = await dial("127.0.0.1", port)
        assert (await ask(stream, "POST", "/", {"Host": "x", **UPGRADE})).status == 101
        await stream.write(b"one")
        assert await stream.read() == b"one"
        stream.write_eof()
        assert await stream.read() == b""
        stream.close()
        async with asyncio.timeout(5):
            while server.connections:  # noqa: ASYNC110 - aiohttp tells nobody
                await asyncio.sleep(0)


async def test_what_the_client_sent_right_behind_its_request_is_not_lost() -> None:
    async with serving(echo) as (_, port):
        stream = await dial("127.0.0.1", port)
        await stream.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
        answer = b""
        while b"early" not in answer:
            answer += await stream.read()
        assert answer.startswith(b"HTTP/1.1 101 ")
        stream.close()


async def test_the_connection_of_an_aiohttp_answer_becomes_a_stream() -> None:
    async with serving(echo) as (_, port), aiohttp.ClientSession() as session:
        answer = await session.get(f"http://127.0.0.1:{port}/", headers=UPGRADE)
        assert answer.status == 101
        stream = hijack_response(answer)
        big = bytes(range(256)) * 8192
        writing = asyncio.create_task(stream.write(big))
        got = b""
        while len(got) < len(big):
            got += await stream.read()
        await writing
        assert got == big
        stream.close()
        await stream.wait_closed()


async def test_a_reader_who_does_not_read_makes_the_writer_wait() -> None:
    one, other = await pair()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await one.write(b"x" * 65536)
            sent += 65536

    flooding = asyncio.create_task(flood())
    before = -1
    while sent != before:
        before = sent
        for _ in range(200):
            await asyncio.sleep(0)
    assert not flooding.done()
    assert other._buffered <= HIGH_WATER + 256 * 1024
    assert sent < 64 * 1024 * 1024
    flooding.cancel()
    one.close()
    other.close()


async def test_a_splice_carries_half_closed_connections() -> None:
    client, front = await pair()
    back, target = await pair()
    splicing = asyncio.create_task(splice(front, back))
    await client.write(b"question")
    client.write_eof()
    assert await read_all(target) == b"question"
    await target.write(b"answer")
    target.close()
    assert await read_all(client) == b"answer"
    client.close()
    await splicing


async def test_a_splice_ends_when_one_side_is_cut_off() -> None:
    client, front = await pair()
    back, target = await pair()
    splicing = asyncio.create_task(splice(front, back))
    client.abort()
    assert await read_all(target) == b""
    target.close()
    await splicing


async def test_a_spliced_reader_who_does_not_read_makes_the_far_writer_wait() -> None:
    client, front = await pair()
    back, target = await pair()
    splicing = asyncio.create_task(splice(front, back))
    big = b"y" * (32 * 1024 * 1024)
    writing = asyncio.create_task(client.write(big))
    for _ in range(2000):
        await asyncio.sleep(0)
    assert not writing.done()
    got = 0
    while got < len(big):
        got += len(await target.read())
    await writing
    client.close()
    target.close()
    await splicing


async def test_a_client_that_leaves_a_backend_which_takes_nothing_ends_the_splice() -> None:
    outside, client = await pair()
    backend, deaf = await pair()
    assert deaf.transport is not None
    deaf.transport.pause_reading()
    splicing = asyncio.create_task(splice(client, backend))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                await outside.write(bytes(HIGH_WATER))
    outside.abort()
    async with asyncio.timeout(20):
        await splicing
    assert not client.open
    assert not backend.open
