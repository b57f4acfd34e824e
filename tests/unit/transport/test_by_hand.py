import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from minikube.errors import NodeUnreachable
from minikube.transport.by_hand import ask, pass_on
from minikube.transport.hijack import dial
from minikube.transport.parking import Nodes, Parker
from tests.unit.transport.test_hijack import Handler, pair, serving

PIECE = bytes(range(256)) * 4096
"""1 MiB"""


async def kubelet(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/whole":
        return web.Response(status=404, text="not here")
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for _ in range(20):
        await response.write(PIECE)
        if request.path == "/broken":
            assert request.transport is not None
            request.transport.close()
            await asyncio.Event().wait()
    return response


@asynccontextmanager
async def front(handler: Handler = kubelet) -> AsyncIterator[int]:
    """A server that passes on what a node says; its port."""
    async with Nodes(patience=1) as nodes:
        parker = asyncio.create_task(Parker(handler, nodes.local("n"), name="test").run())

        async def passing(request: web.BaseRequest) -> web.StreamResponse:
            return await pass_on(request, await nodes.ask("n", "GET", request.path), {"X-Said": "yes"})

        async with serving(passing) as (_, port):
            yield port
        parker.cancel()
        await asyncio.wait([parker])


async def test_a_chunked_answer_is_passed_on_as_it_comes() -> None:
    async with front() as port, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"http://127.0.0.1:{port}/big") as answer:
                assert (answer.status, answer.headers["X-Said"]) == (200, "yes")
                assert await answer.read() == PIECE * 20


async def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    async with front() as port, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"http://127.0.0.1:{port}/broken") as answer:
                await answer.read()


async def test_a_client_that_reads_nothing_makes_the_node_wait_and_its_end_is_the_nodes() -> None:
    written, left = 0, asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while True:
                await response.write(PIECE)
                written += 1
        finally:
            left.set()

    async with front(endless) as port, asyncio.timeout(30):
        client = await dial("127.0.0.1", port)
        client.transport.pause_reading()
        await client.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = -1
        while written == 0 or written != seen:
            seen = written
            await asyncio.sleep(0.2)
        assert written < 30
        client.abort()
        await left.wait()


async def test_an_answer_with_a_length_is_read_whole() -> None:
    async with Nodes(patience=1) as nodes:
        parker = asyncio.create_task(Parker(kubelet, nodes.local("n"), name="test").run())
        answered = await nodes.ask("n", "GET", "/whole")
        assert (answered.status, answered.chunked, await answered.body()) == (404, False, b"not here")
        answered.stream.close()
        parker.cancel()
        await asyncio.wait([parker])


async def test_a_peer_that_says_half_an_answer_is_an_error() -> None:
    ours, theirs = await pair()
    asking = asyncio.create_task(ask(ours, "GET", "/", {}))
    await theirs.read()
    await theirs.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")
    theirs.close()
    with pytest.raises(ConnectionResetError):
        await (await asking).body()


async def test_a_node_that_hangs_up_is_unreachable() -> None:
    async with Nodes(patience=1) as nodes:
        ours, theirs = await pair()
        nodes.park("n", ours)
        asking = asyncio.create_task(nodes.ask("n", "GET", "/"))
        await theirs.read()
        theirs.close()
        with pytest.raises(NodeUnreachable):
            await asking
