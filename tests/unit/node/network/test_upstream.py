"""Names of others: resolvers that answer, and those that keep silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dnslib import QTYPE, RCODE, RR, SOA, A, DNSRecord

from minikube.node.network.upstream import Upstream

QUESTION = DNSRecord.question("example.org").pack()


class Resolver(asyncio.DatagramProtocol):
    """Answers by `how`, or not at all."""

    def __init__(self) -> None:
        self.how: Callable[[DNSRecord], DNSRecord] | None = None
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked += 1
        if self.how is not None:
            self.transport.sendto(self.how(DNSRecord.parse(data)).pack(), addr)


@asynccontextmanager
async def resolving(tmp_path: Path, patience: float = 5.0) -> AsyncIterator[tuple[Resolver, Upstream]]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    transport, resolver = await loop.create_datagram_endpoint(Resolver, sock=sock)
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    try:
        yield resolver, Upstream(conf, port=sock.getsockname()[1], patience=patience, rest=1.0)
    finally:
        transport.close()


def found(request: DNSRecord) -> DNSRecord:
    reply = request.reply()
    reply.add_answer(RR("example.org", QTYPE.A, ttl=60, rdata=A("192.0.2.1")))
    return reply


def absent(request: DNSRecord) -> DNSRecord:
    reply = request.reply()
    reply.header.rcode = RCODE.NXDOMAIN
    reply.add_auth(RR("org", QTYPE.SOA, ttl=60, rdata=SOA("a.org", "b.org", (1, 2, 3, 4, 20))))
    return reply


async def test_an_answer_is_kept_and_so_is_the_word_that_there_is_none(tmp_path: Path) -> None:
    for how in (found, absent):
        async with resolving(tmp_path) as (resolver, upstream):
            resolver.how = how
            first = await upstream.ask(QUESTION, udp=True)
            assert first is not None
            assert await upstream.ask(QUESTION, udp=True) == first
            assert resolver.asked == 1


async def test_a_failure_is_passed_on_but_not_kept(tmp_path: Path) -> None:
    def failing(request: DNSRecord) -> DNSRecord:
        reply = request.reply()
        reply.header.rcode = RCODE.SERVFAIL
        return reply

    async with resolving(tmp_path) as (resolver, upstream):
        resolver.how = failing
        for _ in range(2):
            answer = await upstream.ask(QUESTION, udp=True)
            assert DNSRecord.parse(answer or b"").header.rcode == RCODE.SERVFAIL
        assert resolver.asked == 2


async def test_a_silent_resolver_is_left_alone_until_its_rest_is_over(tmp_path: Path) -> None:
    async with resolving(tmp_path, 0.3) as (resolver, upstream):
        for _ in range(5):
            assert await upstream.ask(QUESTION, udp=True) is None
        assert resolver.asked == 2
        resolver.how = found
        assert await upstream.ask(QUESTION, udp=True) is None
        async with asyncio.timeout(10):
            while await upstream.ask(QUESTION, udp=True) is None:  # noqa: ASYNC110 -- the rest ends by the loop's clock
                await asyncio.sleep(0.01)
        assert resolver.asked == 3
