"""A load generator that costs little: HTTP/1.1 over TLS on asyncio protocols, one request at a time on each."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml


def client_context(kubeconfig: Path) -> ssl.SSLContext:
    """With the certificate of the kubeconfig's user; the server's is not checked."""
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    pair = kubeconfig.parent / "pair.pem"
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(pair)
    return context


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


class Wire(asyncio.Protocol):
    """One connection. `await ask(bytes)` gives (status, body length); the body is thrown away."""

    def __init__(self) -> None:
        self._left = 0
        self._head = b""
        self._status = self._size = 0
        self._answer: asyncio.Future[tuple[int, int]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._head = b""
            self._status = int(head[9:12])
            at = head.lower().find(b"content-length:")
            self._size = int(head[at + 15 : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
            self._left = self._size - len(rest)
        if self._left == 0 and self._answer is not None:
            self._answer.set_result((self._status, self._size))

    def ask(self, sent: bytes) -> asyncio.Future[tuple[int, int]]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(sent)  # type: ignore[attr-defined]
        return self._answer

    def close(self) -> None:
        self._transport.close()


async def connected(port: int, context: ssl.SSLContext, count: int) -> Sequence[Wire]:
    loop = asyncio.get_running_loop()
    made = [loop.create_connection(Wire, "127.0.0.1", port, ssl=context) for _ in range(count)]
    return [wire for _, wire in await asyncio.gather(*made)]


async def rate(
    wires: Sequence[Wire], total: int, make: Callable[[int], bytes], *, expect: int
) -> tuple[float, int]:
    """(requests a second, bytes of all bodies) over all connections. Fails when an answer has another status."""
    numbers = iter(range(total))
    size = 0

    async def work(wire: Wire) -> None:
        nonlocal size
        for number in numbers:
            status, length = await wire.ask(make(number))
            assert status == expect, status
            size += length

    began = time.perf_counter()
    await asyncio.gather(*(work(wire) for wire in wires))
    return total / (time.perf_counter() - began), size
