"""The kubelet's HTTP API: health, pods and container logs, for the API server's client certificate only."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minikube.api.meta import to_dict
from minikube.node.kubelet.logs import Wanted, moment, read
from minikube.node.runtime.base import Container, State
from minikube.node.spec import log_directory
from minikube.transport.server import listening, peer_subject

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.worker import PodWorker

MASTERS = "system:masters"
CLIENTS = ("kube-apiserver-kubelet-client", "system:kube-apiserver", "system:apiserver")


class KubeletApi:
    """`ssl_context` asks for client certificates of the cluster's CA; without one only tests should serve."""

    def __init__(self, agent: Agent, ssl_context: ssl.SSLContext | None, port: int) -> None:
        self._agent, self._context, self._port = agent, ssl_context, port

    async def run(self) -> None:
        """Serve until cancelled."""
        async with listening(self.handle, "", self._port, self._context):
            await asyncio.Event().wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = [each for each in request.path.split("/") if each]
        if parts == ["healthz"]:
            return web.Response(text="ok")
        if self._context is not None:
            subject = peer_subject(request)
            if subject is None:
                return web.Response(status=401, text="Unauthorized")
            if subject[0] not in CLIENTS and MASTERS not in subject[1]:
                return web.Response(status=403, text=f"Forbidden (user={subject[0]})")
        if parts == ["pods"]:
            items = [to_dict(worker.pod) for worker in self._agent.workers.values()]
            body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
            return web.Response(body=msgspec.json.encode(body), content_type="application/json")
        if len(parts) == 4 and parts[0] == "containerLogs":
            return await self._logs(request, parts[1], parts[2], parts[3])
        return web.Response(status=404, text="404 page not found")

    async def _logs(
        self, request: web.BaseRequest, namespace: str, name: str, container: str
    ) -> web.StreamResponse:
        worker = next(
            (
                each
                for each in self._agent.workers.values()
                if (each.pod.metadata.namespace, each.pod.metadata.name) == (namespace, name)
            ),
            None,
        )
        if worker is None:
            return web.Response(status=404, text=f'pod "{name}" not found')
        try:
            wanted = self._wanted(request)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        found = self._attempt(worker, container, request.query.get("previous") == "true")
        if found is None:
            text = f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            if request.query.get("previous") == "true":
                text = f'previous terminated container "{container}" in pod "{name}" not found'
            return web.Response(status=400, text=text)
        path = Path(log_directory(worker.pod, self._agent.settings)) / container / f"{found.attempt}.log"
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)

        def over() -> bool:
            now = next((each for each in worker.observed.containers if each.id == found.id), None)
            return now is None or now.state is State.EXITED

        try:
            async for piece in read(path, wanted, over):
                await response.write(piece)
        except FileNotFoundError:
            pass
        await response.write_eof()
        return response

    def _attempt(self, worker: PodWorker, container: str, previous: bool) -> Container | None:
        attempts = sorted(
            (each for each in worker.observed.containers if each.name == container), key=lambda each: each.attempt
        )
        back = 2 if previous else 1
        return attempts[-back] if len(attempts) >= back else None

    def _wanted(self, request: web.BaseRequest) -> Wanted:
        query = request.query
        since = moment(query["sinceTime"]) if query.get("sinceTime") else None
        if query.get("sinceSeconds"):
            since = self._agent.clock.now() - timedelta(seconds=int(query["sinceSeconds"]))
        return Wanted(
            follow=query.get("follow") == "true",
            timestamps=query.get("timestamps") == "true",
            tail=int(query["tailLines"]) if query.get("tailLines") else None,
            since=since,
            limit=int(query["limitBytes"]) if query.get("limitBytes") else None,
        )
