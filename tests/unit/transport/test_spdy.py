import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from minikube.transport.hijack import RawStream
from minikube.transport.spdy import DICTIONARY, PING, SpdyConnection
from tests.unit.transport.test_hijack import pair


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[SpdyConnection, SpdyConnection]]:
    one, other = await pair()
    async with SpdyConnection(one, server=False) as client, SpdyConnection(other, server=True) as server:
        yield client, server


def test_the_dictionary_is_the_one_of_the_draft() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


async def test_a_stream_arrives_with_its_headers() -> None:
    async with connected() as (client, server):
        for number in range(3):
            await client.open({"streamType": "data", "requestID": str(number)})
        for number in range(3):
            stream = await server.accept()
            assert stream is not None
            assert stream.headers == {"streamtype": "data", "requestid": str(number)}


async def test_each_direction_of_a_stream_ends_on_its_own() -> None:
    async with connected() as (client, server):
        here = await client.open({})
        there = await server.accept()
        assert there is not None
        await here.write(b"in")
        await here.close()
        assert [await there.read(), await there.read()] == [b"in", b""]
        await there.write(b"out")
        await there.close()
        assert [await here.read(), await here.read()] == [b"out", b""]
        with pytest.raises(ConnectionError):
            await here.write(b"more")


async def test_streams_do_not_wait_for_one_whose_reader_sleeps() -> None:
    async with connected() as (client, server):
        slow, quick = await client.open({}), await client.open({})
        await server.accept()
        there = await server.accept()
        assert there is not None
        await slow.write(b"x" * 500_000)
        await quick.write(b"hello")
        assert await there.read() == b"hello"


async def test_much_data_passes_whole() -> None:
    data = bytes(range(256)) * 40_000
    async with connected() as (client, server):
        here = await client.open({})
        there = await server.accept()
        assert there is not None

        async def send() -> None:
            await here.write(data)
            await here.close()

        sending, got = asyncio.create_task(send()), bytearray()
        while piece := await there.read():
            got += piece
        await sending
        assert bytes(got) == data


async def test_a_reset_ends_both_directions() -> None:
    async with connected() as (client, server):
        here = await client.open({})
        there = await server.accept()
        assert there is not None
        await here.reset()
        assert await there.read() == b""
        with pytest.raises(ConnectionError):
            await there.write(b"x")


async def test_a_ping_is_echoed() -> None:
    one, other = await pair()
    async with SpdyConnection(other, server=True):
        frame = struct.pack(">HHII", 0x8003, PING, 4, 1)
        await one.write(frame)
        assert await one.read() == frame
    one.close()


async def test_all_streams_end_with_the_connection() -> None:
    async with connected() as (client, server):
        await client.open({})
        there = await server.accept()
        assert there is not None
        client._carrier.close()
        assert await there.read() == b""
        assert await server.accept() is None


async def test_what_is_not_spdy_ends_the_connection() -> None:
    one, other = await pair()
    async with SpdyConnection(other, server=True) as server:
        await one.write(struct.pack(">HHI", 0x8003, 77, 0))
        assert await server.accept() is None
    assert await drained(one) == b""


async def drained(stream: RawStream) -> bytes:
    out = b""
    while data := await stream.read():
        out += data
    return out
