"""Other people's names: asked at the node's own resolvers, answers kept for a short while.

A resolver that keeps silent is left alone for a while, so that where there is none the answer comes at once.
"""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

from dnslib import QTYPE, RCODE, DNSRecord

from minikube.node.container import resolver

ASK_SECONDS, KEEP_SECONDS, KEEP = 2.0, 30.0, 2000
SILENCES, REST_SECONDS = 2, 10.0
"""After so many questions without an answer a resolver rests; then one question tries it again."""


class Upstream:
    """Answers are kept by the whole question, flags included, so that each client gets what it asked for."""

    def __init__(
        self,
        resolv_conf: Path = resolver.RESOLV_CONF,
        *,
        port: int = 53,
        patience: float = ASK_SECONDS,
        rest: float = REST_SECONDS,
    ) -> None:
        self._resolv_conf, self._port, self._patience, self._rest = resolv_conf, port, patience, rest
        self._kept: dict[tuple[bytes, bool], tuple[float, bytes]] = {}
        self._silences: dict[str, int] = {}
        self._rests: dict[str, float] = {}

    async def ask(self, packet: bytes, *, udp: bool) -> bytes | None:
        """The first server's answer that comes; None when none does."""
        loop = asyncio.get_running_loop()
        key = (bytes(packet[2:]), udp)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > loop.time():
            return packet[:2] + kept[1][2:]
        for server in (await asyncio.to_thread(resolver.own, self._resolv_conf))["servers"]:
            if self._rests.get(server, 0.0) > loop.time():
                continue
            if server in self._rests:
                self._rests[server] = loop.time() + self._rest
            try:
                async with asyncio.timeout(self._patience):
                    answer = await (_ask_udp if udp else _ask_tcp)((server, self._port), packet)
                parsed = DNSRecord.parse(answer)
            except TimeoutError:
                self._silent(server, loop.time())
                continue
            except (OSError, asyncio.IncompleteReadError, ValueError):
                continue
            self._silences.pop(server, None)
            self._rests.pop(server, None)
            ttl = _time_to_live(parsed)
            if ttl and not parsed.header.tc:
                if len(self._kept) >= KEEP:
                    self._kept.clear()
                self._kept[key] = (loop.time() + min(ttl, KEEP_SECONDS), answer)
            return answer
        return None

    def _silent(self, server: str, now: float) -> None:
        self._silences[server] = self._silences.get(server, 0) + 1
        if self._silences[server] >= SILENCES:
            self._rests[server] = now + self._rest


def _time_to_live(answer: DNSRecord) -> int:
    """Seconds; of a name or record that does not exist, what its zone says (RFC 2308)."""
    if answer.rr:
        return min(int(record.ttl) for record in answer.rr)
    if answer.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        return 0
    zones = [record for record in answer.auth if record.rtype == QTYPE.SOA]
    return min((min(int(record.ttl), int(record.rdata.times[4])) for record in zones), default=0)


class _Once(asyncio.DatagramProtocol):
    def __init__(self, done: asyncio.Future[bytes]) -> None:
        self._done = done

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._done.done():
            self._done.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(exc)


async def _ask_udp(upstream: tuple[str, int], packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Once(done), remote_addr=upstream)
    try:
        transport.sendto(packet)
        return await done
    finally:
        transport.close()


async def _ask_tcp(upstream: tuple[str, int], packet: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*upstream)
    try:
        writer.write(struct.pack("!H", len(packet)) + packet)
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()
