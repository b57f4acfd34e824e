"""The connection to containerd: what is slow to answer on a busy machine is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from minikube.node.runtime.channel import opened

GREETS_AFTER = 1.5
"""Seconds: past every pause between attempts."""


@asynccontextmanager
async def slow_to_greet(directory: Path) -> AsyncIterator[str]:
    """A gRPC server without services that takes the connection at once and says its first word later."""
    server = grpc.aio.server()
    server.add_insecure_port(f"unix://{directory}/server")
    await server.start()

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(GREETS_AFTER)
        beyond, into = await asyncio.open_unix_connection(f"{directory}/server")
        async with asyncio.TaskGroup() as both:
            both.create_task(copy(reader, into))
            both.create_task(copy(beyond, writer))

    front = await asyncio.start_unix_server(relay, f"{directory}/front")
    try:
        yield f"unix://{directory}/front"
    finally:
        front.close()
        await server.stop(None)


async def test_a_call_waits_for_a_runtime_that_is_slow_to_greet(tmp_path: Path) -> None:
    async with (
        slow_to_greet(tmp_path) as endpoint,
        opened(endpoint) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/none/Such")(b"", timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED  # it answered
