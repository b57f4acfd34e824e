"""HTTPS to a Service: a connection to one of its ready endpoints, through its node's agent, with TLS of our own."""

from __future__ import annotations

import ssl

import aiohttp

from minikube.apiserver.services import Services
from minikube.transport.hijack import RawStream
from minikube.transport.parking import Nodes, Tls, streaming_session


class ServiceSessions:
    def __init__(self, services: Services, nodes: Nodes) -> None:
        self._services, self._nodes = services, nodes

    def to(self, namespace: str, name: str, port: int, context: ssl.SSLContext) -> aiohttp.ClientSession:
        """Ask it `http://…` URLs: TLS is inside already, aiohttp is not to begin another one. The other end proves
        to be `<name>.<namespace>.svc`. Connecting raises ApiError, OSError."""

        async def open_(host: str, _: int) -> RawStream:
            chosen = self._services.choose(namespace, name, str(port))
            return await self._nodes.dial(chosen.node, chosen.ip, chosen.port)

        return streaming_session(open_, Tls(context, f"{name}.{namespace}.svc"))
