"""Health of services with externalTrafficPolicy Local for load balancers: each one's healthCheckNodePort tells
whether this node has endpoints of it. Words and headers: kube-proxy's pkg/proxy/healthcheck/service_health.go.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from minikube.node.network.base import ServicePort

log = logging.getLogger(__name__)
ASK_SECONDS = 10.0


class Health(msgspec.Struct, frozen=True):
    """What one port answers."""

    namespace: str
    service: str
    endpoints: int
    """On this node, and ready."""


def healths(ports: Iterable[ServicePort]) -> Mapping[int, Health]:
    """By health check port."""
    endpoints: dict[tuple[int, str, str], set[str]] = {}
    for each in ports:
        if each.health_check_node_port:
            key = each.health_check_node_port, each.namespace, each.service
            endpoints.setdefault(key, set()).update(each.ready_here)
    return {port: Health(namespace, name, len(ips)) for (port, namespace, name), ips in endpoints.items()}


def answer(health: Health) -> bytes:
    """A whole HTTP answer, after which the connection ends."""
    said = {
        "service": {"namespace": health.namespace, "name": health.service},
        "localEndpoints": health.endpoints,
        "serviceProxyHealthy": True,
    }
    body = json.dumps(said, indent="\t")
    status = "200 OK" if health.endpoints else "503 Service Unavailable"
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"X-Load-Balancing-Endpoint-Weight: {health.endpoints}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    ).encode()


class ServiceHealth:
    """Listens on exactly the ports of the last `apply`; `async with` closes them all."""

    def __init__(self) -> None:
        self._now: Mapping[int, Health] = {}
        self._servers: dict[int, asyncio.Server] = {}

    async def __aenter__(self) -> ServiceHealth:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.apply(())

    async def apply(self, ports: Iterable[ServicePort]) -> None:
        self._now = healths(ports)
        for port in self._servers.keys() - self._now.keys():
            self._servers.pop(port).close()
        for port in self._now.keys() - self._servers.keys():
            try:
                self._servers[port] = await asyncio.start_server(partial(self._answer, port), None, port)
            except OSError as error:  # tried again with the next change
                health = self._now[port]
                name = f"{health.namespace}/{health.service}"
                log.warning("no health check of service %s on port %d: %s", name, port, error)

    async def _answer(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                if (health := self._now.get(port)) is not None:
                    writer.write(answer(health))
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass
        finally:
            writer.close()
