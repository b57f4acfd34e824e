"""Connections into pods for clients (portForward), and to whatever this node reaches for the API server (dial)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from minikube.node.kubelet import portforward
from minikube.node.kubelet.answers import Handlers, Refused, check_upgrade, not_found, said, worker_of
from minikube.node.network.netns import tcp_socket
from minikube.transport.hijack import Hijacked, RawStream, hijack, splice
from minikube.transport.hijack import dial as dial_tcp

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.pod.worker import PodWorker


class Connections:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def table(self) -> Handlers:
        return {"portForward": self._port_forward}

    async def _port_forward(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if len(parts) not in (2, 3):
            raise not_found()
        worker = worker_of(self._agent.workers.values(), parts[0], parts[1])
        if worker is None:
            raise Refused(404, "pod does not exist")
        check_upgrade(request, "Upgrade request required")

        async def connect(port: int) -> RawStream:
            return await self._into(worker, port)

        return await portforward.serve(request, connect)

    async def _into(self, worker: PodWorker, port: int) -> RawStream:
        """A connection to the pod's localhost. Raises OSError worded as containerd does."""
        sandbox, meta = worker.observed.sandbox, worker.pod.metadata
        prefix = f"error forwarding port {port} to pod {sandbox.id if sandbox else meta.name}, uid {meta.uid}: "
        if sandbox is None:
            raise OSError(f"{prefix}the pod's sandbox is not running")
        netns = ""
        if not worker.pod.spec.host_network:
            found = self._agent.network.attachment(meta.uid)
            netns = found.netns if found is not None else sandbox.netns
        try:
            return await dial_tcp("127.0.0.1", port, sock=await asyncio.to_thread(tcp_socket, netns))
        except OSError as error:
            raise OSError(
                f'{prefix}failed to connect to localhost:{port} inside namespace "{netns or sandbox.id}": '
                f"dial tcp4 127.0.0.1:{port}: connect: {said(error)}"
            ) from error

    async def dial(self, request: web.BaseRequest) -> web.StreamResponse:
        """A connection of the API server's to an address that this node reaches: a pod, or the node itself."""
        query = request.query
        host, port = query.get("host", ""), int(query.get("port") or 0)
        try:
            async with asyncio.timeout(30):
                if query.get("tls"):
                    context = ssl.create_default_context()
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                    loop = asyncio.get_running_loop()
                    _, target = await loop.create_connection(RawStream, host, port, ssl=context)
                else:
                    target = await dial_tcp(host, port)
        except TimeoutError:
            return web.Response(status=502, text=f"dial tcp {host}:{port}: i/o timeout")
        except (OSError, ssl.SSLError) as error:
            text = f"dial tcp {host}:{port}: connect: {said(error)}"
            return web.Response(status=502, text=text)
        await splice(hijack(request, {"Connection": "Upgrade", "Upgrade": "tcp"}), target)
        return Hijacked()
