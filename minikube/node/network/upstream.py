"""Other people's names: asked at the node's own resolvers, answers kept for a short while."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

from dnslib import DNSRecord

from minikube.node.container import resolver

ASK_SECONDS, KEEP_SECONDS, KEEP = 2.0, 30.0, 2000
RESOLV_CONF = Path("/etc/resolv.conf")
STUB_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved keeps the true servers, when resolv.conf names only its stub."""


def servers(path: Path = RESOLV_CONF, behind_stub: Path = STUB_RESOLV_CONF) -> list[str]:
    found = list(resolver.own(path)["servers"])
    if all(each.startswith("127.") for each in found) and behind_stub.exists():
        return list(resolver.own(behind_stub)["servers"])
    return found


class Upstream:
    """Answers are kept by the whole question, flags included, so that each client gets what it asked for."""

    def __init__(self, resolv_conf: Path = RESOLV_CONF) -> None:
        self._resolv_conf = resolv_conf
        self._kept: dict[tuple[bytes, bool], tuple[float, bytes]] = {}

    async def ask(self, packet: bytes, *, udp: bool) -> bytes | None:
        """The first server's answer that comes; None when none does."""
        loop = asyncio.get_running_loop()
        key = (packet[2:], udp)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > loop.time():
            return packet[:2] + kept[1][2:]
        for server in await asyncio.to_thread(servers, self._resolv_conf):
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    answer = await (_ask_udp if udp else _ask_tcp)(server, packet)
                parsed = DNSRecord.parse(answer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                continue
            ttl = min((record.ttl for record in parsed.rr), default=0)
            if ttl and not parsed.header.tc:
                if len(self._kept) >= KEEP:
                    self._kept.clear()
                self._kept[key] = (loop.time() + min(ttl, KEEP_SECONDS), answer)
            return answer
        return None


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
