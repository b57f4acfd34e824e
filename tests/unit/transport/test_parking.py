import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from minikube.errors import NodeUnreachable
from minikube.transport.hijack import Hijacked, hijack, hijack_response
from minikube.transport.parking import IDLE, Nodes, Parker


async def kubelet(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/echo":
        stream = hijack(request, {"Connection": "Upgrade", "Upgrade": "echo"})
        while data := await stream.read():
            await stream.write(data)
        return Hijacked()
    if request.path == "/hang":
        await asyncio.Event().wait()
    return web.Response(text=f"{request.method} {request.path_qs} {(await request.read()).decode()}")


@pytest_asyncio.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with Nodes(patience=0.05) as found:
        yield found


@pytest_asyncio.fixture
async def node(nodes: Nodes) -> AsyncIterator[str]:
    parker = asyncio.create_task(Parker(kubelet, nodes.local("n1"), name="test").run())
    yield "n1"
    parker.cancel()
    await asyncio.wait([parker])


async def test_the_server_asks_over_connections_that_the_agent_opened(nodes: Nodes, node: str) -> None:
    async with await nodes.request(node, "POST", "/run/a%20b?x=%2F", data=b"body") as answer:
        assert (answer.status, await answer.text()) == (200, "POST /run/a%20b?x=%2F body")


async def test_many_streams_go_at_once_and_the_agent_replaces_what_was_taken(nodes: Nodes, node: str) -> None:
    streams = []
    for number in range(3 * IDLE):
        answer = await nodes.request(node, "POST", "/echo", headers={"Connection": "Upgrade", "Upgrade": "echo"})
        stream = hijack_response(answer)
        await stream.write(b"%d" % number)
        streams.append(stream)
    assert [await stream.read() for stream in streams] == [b"%d" % number for number in range(3 * IDLE)]
    for stream in streams:
        stream.close()


async def test_a_node_without_connections_is_unreachable_after_a_while(nodes: Nodes) -> None:
    with pytest.raises(NodeUnreachable, match="error dialing backend"):
        await nodes.request("n2", "GET", "/healthz")


async def test_who_waits_gets_the_next_connection(nodes: Nodes) -> None:
    patient = Nodes(patience=5)
    taking = asyncio.create_task(patient.take("n1"))
    await asyncio.sleep(0)
    await patient.local("n1")()
    assert (await taking).open


async def test_a_revoked_node_loses_its_connections_at_once(nodes: Nodes, node: str) -> None:
    hanging = asyncio.create_task(nodes.request(node, "GET", "/hang"))
    while len(nodes._parked.get(node, ())) < IDLE:  # noqa: ASYNC110 - until taken ones are replaced
        await asyncio.sleep(0)
    nodes.revoke(node)
    with pytest.raises(NodeUnreachable):
        await hanging
    assert not nodes.connected(node)
