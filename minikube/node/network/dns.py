"""The cluster's DNS, answered in process; other names go to the node's resolvers."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Sequence
from typing import Any

from dnslib import CNAME, PTR, QTYPE, RCODE, RR, SOA, DNSRecord

from minikube.api.core_v1 import Service
from minikube.api.discovery_v1 import EndpointSlice
from minikube.client.base import Informers
from minikube.kit.keeper import Keeper
from minikube.node.network.upstream import Upstream
from minikube.node.network.zone import Zone
from minikube.settings import Settings

TTL = 5
MAX_UDP = 1232
MAX_CHAIN = 8
"""CNAMEs that are followed."""


class Dns:
    """`async run()` serves UDP and TCP on every bind address until cancelled."""

    def __init__(
        self, informers: Informers, settings: Settings, bind: Sequence[tuple[str, int]], keeper: Keeper
    ) -> None:
        services, slices = informers.of(Service), informers.of(EndpointSlice)
        self._informers = (services, slices)
        self._domain = settings.cluster_domain
        self._zone = Zone(services.lister, slices.lister, settings.cluster_domain)
        self._bind = bind
        self._keeper = keeper
        self._upstream = Upstream(settings.resolv_conf)

    async def run(self) -> None:
        for informer in self._informers:
            await informer.wait_synced()
        loop = asyncio.get_running_loop()
        transports: list[asyncio.DatagramTransport] = []
        servers: list[asyncio.Server] = []
        try:
            for address in self._bind:
                for each in self._keeper.listeners("udp", *address):
                    transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=each)
                    transports.append(transport)
                for each in self._keeper.listeners("tcp", *address):
                    servers.append(await asyncio.start_server(self._tcp, sock=each))
            await asyncio.Event().wait()
        finally:
            for transport in transports:
                transport.close()
            for server in servers:
                server.close()

    async def answer(self, packet: bytes, *, udp: bool) -> bytes:
        """Raises ValueError for what is no question."""
        request = DNSRecord.parse(packet)
        name = str(request.q.qname).rstrip(".").lower()
        kind = QTYPE.get(request.q.qtype)
        if kind == "PTR" and name.endswith(".in-addr.arpa"):
            target = self._zone.reverse(".".join(reversed(name.removesuffix(".in-addr.arpa").split("."))))
            records = None if target is None else [PTR(target)]
            owned = target is not None
        else:
            owned = self._zone.owns(name)
            records = self._zone.lookup(name, kind) if owned else None
        if not owned:
            found = await self._upstream.ask(packet, udp=udp)
            if found is not None:
                return found
            reply = request.reply()
            reply.header.rcode = RCODE.SERVFAIL
            return bytes(reply.pack())
        return _fit(await self._reply(request, kind, records), udp=udp)

    async def _reply(self, request: DNSRecord, kind: str, records: Sequence[Any] | None) -> DNSRecord:
        reply = request.reply()
        reply.header.aa, reply.header.ra = 1, 1
        for record in records or ():
            reply.add_answer(_answer(request.q.qname, record))
        if kind == "SRV":
            for name, address in self._zone.targets(records or ()):
                reply.add_ar(_answer(name, address))
        elif kind in ("A", "AAAA") and records and isinstance(records[0], CNAME):
            for answer in await self._follow(str(records[0].label).rstrip(".").lower(), kind):
                reply.add_answer(answer)
        if not records:
            reply.header.rcode = RCODE.NXDOMAIN if records is None else RCODE.NOERROR
            soa = SOA(f"ns.dns.{self._domain}", f"hostmaster.{self._domain}", (1, 7200, 1800, 86400, TTL))
            reply.add_auth(RR(self._domain, QTYPE.SOA, ttl=TTL, rdata=soa))
        return reply

    async def _follow(self, target: str, kind: str) -> list[RR]:
        """What a CNAME leads to: stub resolvers expect it in the same answer."""
        found: list[RR] = []
        for _ in range(MAX_CHAIN):
            if not self._zone.owns(target):
                answer = await self._upstream.ask(DNSRecord.question(target, kind).pack(), udp=True)
                return found + (list(DNSRecord.parse(answer).rr) if answer is not None else [])
            records = self._zone.lookup(target, kind) or []
            found += [_answer(target, record) for record in records]
            if not records or not isinstance(records[0], CNAME):
                break
            target = str(records[0].label).rstrip(".").lower()
        return found

    async def _tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(10):
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    packet = await reader.readexactly(size)
                answer = await self.answer(packet, udp=False)
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, OSError, ValueError):
            pass
        finally:
            writer.close()


def _answer(name: Any, record: Any) -> RR:
    return RR(name, getattr(QTYPE, type(record).__name__), ttl=TTL, rdata=record)


def _fit(reply: DNSRecord, *, udp: bool) -> bytes:
    packed = bytes(reply.pack())
    return bytes(reply.truncate().pack()) if udp and len(packed) > MAX_UDP else packed


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._reply(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, addr: Any) -> None:
        with contextlib.suppress(ValueError):  # not DNS: no answer
            self._transport.sendto(await self._dns.answer(data, udp=True), addr)
