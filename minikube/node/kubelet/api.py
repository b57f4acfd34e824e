"""The kubelet's HTTP API, on connections that the server took and, with authorization, on the kubelet's own port.

Rules of paths and wording: k8s.io/kubernetes/pkg/kubelet/server. Errors are plain text, as the kubelet's.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from minikube.auth.certificates import CertificateAuthenticator
from minikube.errors import ApiError
from minikube.node.kubelet.access import Access
from minikube.node.kubelet.answers import Handlers, Refused, not_found
from minikube.node.kubelet.commands import Commands
from minikube.node.kubelet.connections import Connections
from minikube.node.kubelet.container_logs import ContainerLogs
from minikube.node.kubelet.pages import Pages
from minikube.node.kubelet.routes import parts_of
from minikube.node.runtime.base import RuntimeFault
from minikube.transport.server import listening

if TYPE_CHECKING:
    from minikube.node.agent import Agent


class KubeletApi:
    """`client_ca`: who issues certificates to those who may come to the kubelet's port."""

    def __init__(self, agent: Agent, client_ca: Path) -> None:
        self._port = agent.settings.kubelet_port
        certificates = CertificateAuthenticator([client_ca])
        self._access = Access(agent.client, agent.clock, agent.node_name, certificates)
        self._connections = Connections(agent)
        self._handlers: Handlers = {
            **Pages(agent).table(),
            **ContainerLogs(agent).table(),
            **Commands(agent).table(),
            **self._connections.table(),
        }

    async def listen(self, context: ssl.SSLContext) -> None:
        """Serve the kubelet's port until cancelled."""
        async with listening(self.secured, "", self._port, context):
            await asyncio.Event().wait()

    async def secured(self, request: web.BaseRequest) -> web.StreamResponse:
        """For anybody: first it is asked who it is and whether he may."""
        try:
            refusal = await self._access.refusal(request)
        except ApiError as error:
            return web.Response(status=500, text=error.message)
        return refusal or await self.handle(request)

    async def trusted(self, request: web.BaseRequest) -> web.StreamResponse:
        """For the API server, which was authenticated when we dialled it and has authorized its client."""
        if request.path == "/dial":
            return await self._connections.dial(request)
        return await self.handle(request)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = parts_of(request.path)
        handler = self._handlers.get(parts[0]) if parts else None
        try:
            if handler is None:
                raise not_found()
            return await handler(request, parts[1:])
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        except RuntimeFault as error:
            return web.Response(status=500, text=error.message)
