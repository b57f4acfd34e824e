"""The cluster's DNS, answered in process; other names go to the host's resolvers."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnslib import AAAA, CNAME, PTR, QTYPE, RCODE, RR, SOA, SRV, A, DNSRecord

from minikube.api.core_v1 import Service
from minikube.api.discovery_v1 import EndpointSlice
from minikube.client.base import Informers
from minikube.kit.keeper import Keeper
from minikube.node.network.services import SERVICE_NAME
from minikube.settings import Settings

TTL = 5


class Zone:
    """Names of the cluster out of listers; None is a name that does not exist, [] one without such records."""

    def __init__(self, services: Any, slices: Any, domain: str) -> None:
        self._services = services
        self._slices = slices
        self._domain = domain.rstrip(".").lower()

    def owns(self, name: str) -> bool:
        return name == self._domain or name.endswith("." + self._domain)

    def lookup(self, name: str, kind: str) -> list[Any] | None:
        """`name` in lower case without the final dot."""
        if name == self._domain:
            return []
        labels = name.removesuffix("." + self._domain).split(".")
        if labels in (["svc"], ["pod"]):
            return []
        if labels[-1] == "pod" and len(labels) == 3:
            return self._pod(labels[0], kind)
        if labels[-1] != "svc":
            return None
        if len(labels) == 2:
            exists = any(True for _ in self._services.list(labels[0]))
            return [] if exists else None
        service = self._services.get(labels[-3], labels[-2])
        if service is None:
            return None
        return self._service(service, labels[:-3], kind)

    def _pod(self, label: str, kind: str) -> list[Any] | None:
        try:
            ip = str(ipaddress.IPv4Address(label.replace("-", ".")))
        except ValueError:
            return None
        return [A(ip)] if kind == "A" else []

    def _endpoints(self, service: Service) -> list[tuple[str, str, tuple[Any, ...]]]:
        """(host label, address, ports) of the ones to publish."""
        found = []
        for part in self._slices.list(service.metadata.namespace):
            if part.metadata.labels.get(SERVICE_NAME) != service.metadata.name:
                continue
            for endpoint in part.endpoints:
                ready = endpoint.conditions is None or endpoint.conditions.ready is not False
                if ready or service.spec.publish_not_ready_addresses:
                    for ip in endpoint.addresses:
                        label = endpoint.hostname or ip.replace(".", "-").replace(":", "-")
                        found.append((label.lower(), ip, part.ports))
        return found

    def _service(self, service: Service, rest: list[str], kind: str) -> list[Any] | None:
        spec = service.spec
        base = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self._domain}"
        if spec.type == "ExternalName":
            return None if rest else [CNAME(spec.external_name)]
        headless = spec.cluster_ip == "None"
        if not rest:
            if headless:
                endpoints = self._endpoints(service)
                return _addresses({ip for _, ip, _ in endpoints}, kind) if endpoints else None
            return _addresses(spec.cluster_ips or (spec.cluster_ip,), kind)
        if len(rest) == 2 and rest[0].startswith("_") and rest[1].startswith("_"):
            return self._srv(service, base, rest[0][1:], rest[1][1:], headless, kind)
        if headless and len(rest) == 1:
            mine = {ip for label, ip, _ in self._endpoints(service) if label == rest[0]}
            return _addresses(mine, kind) if mine else None
        return None

    def _srv(
        self, service: Service, base: str, port: str, protocol: str, headless: bool, kind: str
    ) -> list[Any] | None:
        if headless:
            records = [
                SRV(0, 100, found.port, f"{label}.{base}")
                for label, _, ports in self._endpoints(service)
                for found in ports
                if found.name == port and (found.protocol or "TCP").lower() == protocol
            ]
        else:
            records = [
                SRV(0, 100, found.port, base)
                for found in service.spec.ports
                if found.name == port and (found.protocol or "TCP").lower() == protocol
            ]
        if not records:
            return None
        return records if kind == "SRV" else []

    def reverse(self, address: str) -> str | None:
        for service in self._services.list():
            base = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self._domain}"
            if address in (service.spec.cluster_ip, *service.spec.cluster_ips):
                return base
            if service.spec.cluster_ip == "None":
                for label, ip, _ in self._endpoints(service):
                    if ip == address:
                        return f"{label}.{base}"
        return None


def _addresses(ips: Any, kind: str) -> list[Any]:
    wanted = {"A": 4, "AAAA": 6}.get(kind)
    make = A if kind == "A" else AAAA
    return [make(ip) for ip in sorted(ips) if ipaddress.ip_address(ip).version == wanted]


class Dns:
    """`async run()` serves UDP and TCP on every bind address until cancelled."""

    def __init__(
        self,
        informers: Informers,
        settings: Settings,
        bind: Sequence[tuple[str, int]],
        keeper: Keeper,
        *,
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        services, slices = informers.of(Service), informers.of(EndpointSlice)
        self._informers = (services, slices)
        self._domain = settings.cluster_domain
        self._zone = Zone(services.lister, slices.lister, settings.cluster_domain)
        self._bind = bind
        self._keeper = keeper
        self._resolv_conf = resolv_conf
        self._cache: dict[tuple[str, int], tuple[float, bytes]] = {}

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
        request = DNSRecord.parse(packet)
        name = str(request.q.qname).rstrip(".").lower()
        kind = QTYPE.get(request.q.qtype)
        records: list[Any] | None
        if kind == "PTR" and name.endswith(".in-addr.arpa"):
            address = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
            target = self._zone.reverse(address)
            if target is None:
                return await self._forward(packet, request, udp=udp)
            records = [PTR(target)]
        elif self._zone.owns(name):
            records = self._zone.lookup(name, kind)
        else:
            return await self._forward(packet, request, udp=udp)
        reply = request.reply()
        reply.header.ra = 1
        if records:
            for record in records:
                rtype = getattr(QTYPE, type(record).__name__)
                reply.add_answer(RR(request.q.qname, rtype, ttl=TTL, rdata=record))
        else:
            reply.header.rcode = RCODE.NXDOMAIN if records is None else RCODE.NOERROR
            soa = SOA(f"ns.dns.{self._domain}", f"hostmaster.{self._domain}", (1, 7200, 1800, 86400, TTL))
            reply.add_auth(RR(self._domain, QTYPE.SOA, ttl=TTL, rdata=soa))
        return _fit(reply.pack(), reply, udp=udp)

    def _upstreams(self) -> list[str]:
        try:
            lines = self._resolv_conf.read_text().splitlines()
        except OSError:
            return []
        return [parts[1] for parts in map(str.split, lines) if len(parts) > 1 and parts[0] == "nameserver"]

    async def _forward(self, packet: bytes, request: Any, *, udp: bool) -> bytes:
        loop = asyncio.get_running_loop()
        key = (str(request.q.qname).lower(), request.q.qtype)
        held = self._cache.get(key)
        if held is not None and held[0] > loop.time():
            return packet[:2] + held[1][2:]
        for upstream in self._upstreams():
            try:
                async with asyncio.timeout(2):
                    answer = await (_ask_udp if udp else _ask_tcp)(upstream, packet)
                parsed = DNSRecord.parse(answer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                continue
            ttl = min((record.ttl for record in parsed.rr), default=0)
            if ttl and not parsed.header.tc:
                if len(self._cache) > 2000:
                    self._cache.clear()
                self._cache[key] = (loop.time() + min(ttl, 30), answer)
            return answer
        reply = request.reply()
        reply.header.rcode = RCODE.SERVFAIL
        return bytes(reply.pack())

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


def _fit(data: bytes, reply: Any, *, udp: bool) -> bytes:
    return bytes(reply.truncate().pack()) if udp and len(data) > 1232 else bytes(data)


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
        self._transport.sendto(await self._dns.answer(data, udp=True), addr)


class _Once(asyncio.DatagramProtocol):
    def __init__(self, done: asyncio.Future[bytes]) -> None:
        self._done = done

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._done.done():
            self._done.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(exc)


async def _ask_udp(upstream: str, packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Once(done), remote_addr=(upstream, 53))
    try:
        transport.sendto(packet)
        return await done
    finally:
        transport.close()


async def _ask_tcp(upstream: str, packet: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(upstream, 53)
    try:
        writer.write(struct.pack("!H", len(packet)) + packet)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()
