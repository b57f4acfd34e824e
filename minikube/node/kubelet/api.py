"""The kubelet's HTTP API, on connections that the server took and, with authorization, on the kubelet's own port.

Rules of paths and wording: k8s.io/kubernetes/pkg/kubelet/server. Errors are plain text, as the kubelet's.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import mimetypes
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minikube.api.core_v1 import Pod
from minikube.api.meta import to_dict
from minikube.auth.certificates import CertificateAuthenticator
from minikube.errors import ApiError
from minikube.kit.inotify import NextChange
from minikube.node.container.spec import log_directory
from minikube.node.kubelet import portforward, remotecommand
from minikube.node.kubelet.access import Access
from minikube.node.kubelet.attached import Attached
from minikube.node.kubelet.choose import NoLogs, containers_of, ended, logged_run, running_container
from minikube.node.kubelet.log_text import Wanted, moment
from minikube.node.kubelet.logs import read
from minikube.node.kubelet.metrics import cadvisor_text, kubelet_text, probes_text, resource_text, volumes_text
from minikube.node.kubelet.routes import parts_of
from minikube.node.kubelet.stats import Stats
from minikube.node.network.netns import tcp_socket
from minikube.node.runtime.base import ExecStreams, RuntimeFault, State
from minikube.transport.hijack import Hijacked, RawStream, dial, hijack, splice
from minikube.transport.server import listening

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.pod.worker import PodWorker

log = logging.getLogger(__name__)

VAR_LOG = Path("/var/log")
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
Handler = Callable[[web.BaseRequest, Sequence[str]], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """An answer in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class KubeletApi:
    """`client_ca`: who issues certificates to those who may come to the kubelet's port."""

    def __init__(self, agent: Agent, client_ca: Path) -> None:
        self._agent = agent
        certificates = CertificateAuthenticator([client_ca])
        self._access = Access(agent.client, agent.clock, agent.node_name, certificates)
        self._stats = Stats(agent)
        self._changes = NextChange()
        self._handlers: dict[str, Handler] = {
            "healthz": self._healthz,
            "pods": self._pods,
            "runningpods": self._running_pods,
            "containerLogs": self._logs,
            "exec": self._exec,
            "attach": self._attach,
            "portForward": self._port_forward,
            "run": self._run,
            "stats": self._summary,
            "metrics": self._metrics,
            "logs": self._files,
            "configz": self._configz,
        }

    async def listen(self, context: ssl.SSLContext) -> None:
        """Serve the kubelet's port until cancelled."""
        async with listening(self.secured, "", self._agent.settings.kubelet_port, context):
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
            return await self._dial(request)
        return await self.handle(request)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = parts_of(request.path)
        handler = self._handlers.get(parts[0]) if parts else None
        try:
            if handler is None:
                raise Refused(404, "404 page not found")
            return await handler(request, parts[1:])
        except Refused as refused:
            return web.Response(status=refused.status, text=refused.text)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        except RuntimeFault as error:
            return web.Response(status=500, text=error.message)

    # ---- what is there -------------------------------------------------------------------------------

    async def _healthz(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        return web.Response(text="ok")

    async def _configz(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        settings = self._agent.settings
        config = {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "port": settings.kubelet_port,
            "maxPods": settings.max_pods,
            "clusterDomain": settings.cluster_domain,
            "clusterDNS": [settings.cluster_dns],
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": settings.cgroup_root,
            "podPidsLimit": settings.pod_max_pids or -1,
        }
        return _json({"kubeletconfig": config})

    async def _pods(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        return _json(_pod_list(worker.pod for worker in self._agent.workers.values()))

    async def _running_pods(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        running = []
        for worker in self._agent.workers.values():
            names = {each.name for each in worker.observed.containers if each.state is State.RUNNING}
            if names:
                pod = worker.pod
                containers = tuple(each for each in pod.spec.containers if each.name in names)
                spec = msgspec.structs.replace(pod.spec, containers=containers, init_containers=())
                running.append(msgspec.structs.replace(pod, spec=spec))
        return _json(_pod_list(running))

    async def _summary(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if parts != ["summary"]:
            raise Refused(404, "404 page not found")
        return _json(await self._stats.summary(volumes=True))

    async def _metrics(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        name = parts[0] if parts else ""
        if name == "probes":
            text = probes_text(self._agent.probes.counted())
        elif name == "resource":
            text = resource_text(await self._stats.summary())
        elif name == "cadvisor":
            text = cadvisor_text(await self._stats.summary(), self._stats.machine())
        elif not name:
            text = kubelet_text(self._agent.node_name, [each.observed for each in self._agent.workers.values()])
            text += volumes_text(await self._stats.summary(volumes=True))
        else:
            raise Refused(404, "404 page not found")
        return web.Response(body=text.encode(), headers={"Content-Type": PROMETHEUS})

    async def _files(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        """/logs/: the host's /var/log, as a file server shows it."""
        path = VAR_LOG.joinpath(*parts)
        if ".." in parts or not await asyncio.to_thread(path.exists):
            raise Refused(404, "404 page not found")
        if await asyncio.to_thread(path.is_dir):
            entries = await asyncio.to_thread(lambda: sorted(path.iterdir()))
            names = [each.name + ("/" if each.is_dir() else "") for each in entries]
            links = "".join(f'<a href="{name}">{name}</a>\n' for name in map(html.escape, names))
            return web.Response(text=f"<pre>\n{links}</pre>\n", content_type="text/html")
        kind = mimetypes.guess_type(path.name)[0] or "text/plain"
        return web.FileResponse(path, headers={"Content-Type": kind})

    # ---- logs ----------------------------------------------------------------------------------------

    async def _logs(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if len(parts) != 3:
            raise Refused(404, "404 page not found")
        namespace, name, container = parts
        worker = self._worker(namespace, name)
        if worker is None:
            raise Refused(404, f'pod "{name}" does not exist')
        if all(each.name != container for each in containers_of(worker.pod)):
            raise Refused(404, f'container "{container}" not found in pod "{name}"')
        wanted = self._wanted(request)
        try:
            run = logged_run(
                worker.pod, worker.observed, container, previous=request.query.get("previous") == "true"
            )
        except NoLogs as error:
            raise Refused(400, str(error)) from error
        path = Path(log_directory(worker.pod, self._agent.settings)) / container / f"{run.attempt}.log"
        async with contextlib.aclosing(read(path, wanted, _Run(worker, run.id), self._changes)) as pieces:
            return await _sent(request, pieces, wanted)

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
            stream=query.get("stream") or "All",
        )

    # ---- processes -----------------------------------------------------------------------------------

    async def _exec(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        _, container = self._target(parts)
        options = remotecommand.Options.of(request)
        command = request.query.getall("command", [])

        async def start() -> ExecStreams:
            return await self._agent.runtime.exec(
                container,
                command,
                stdin=options.stdin,
                stdout=options.stdout,
                stderr=options.stderr,
                tty=options.tty,
            )

        return await self._carried(request, options, start)

    async def _attach(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        worker, container = self._target(parts)
        asked = remotecommand.Options.of(request)
        # Whether there is a terminal was settled when the container was made.
        tty = next(bool(each.tty) for each in containers_of(worker.pod) if each.name == parts[-1])
        options = msgspec.structs.replace(asked, tty=tty, stderr=asked.stderr and not tty)

        async def start() -> ExecStreams:
            streams = await self._agent.runtime.attach(
                container, stdin=options.stdin, stdout=options.stdout, stderr=options.stderr, tty=tty
            )
            return Attached(streams, lambda: ended(worker.observed, container))

        return await self._carried(request, options, start)

    async def _carried(
        self,
        request: web.BaseRequest,
        options: remotecommand.Options,
        start: Callable[[], Awaitable[ExecStreams]],
    ) -> web.StreamResponse:
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise Refused(400, "unable to upgrade: missing upgrade headers in request")
        return await remotecommand.serve(request, options, start)

    async def _run(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        """The output of a command that is given as one string."""
        _, container = self._target(parts)
        command = request.query.get("cmd", "").split()
        result = await self._agent.runtime.exec_sync(container, command, timeout=600)
        if result.exit_code:
            text = result.output.decode(errors="replace")
            raise Refused(500, f"command terminated with exit code {result.exit_code}: {text}")
        return web.Response(body=result.output)

    async def _port_forward(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if len(parts) not in (2, 3):
            raise Refused(404, "404 page not found")
        worker = self._worker(parts[0], parts[1])
        if worker is None:
            raise Refused(404, "pod does not exist")
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise Refused(400, "Upgrade request required")

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
            return await dial("127.0.0.1", port, sock=await asyncio.to_thread(tcp_socket, netns))
        except OSError as error:
            raise OSError(
                f'{prefix}failed to connect to localhost:{port} inside namespace "{netns or sandbox.id}": '
                f"dial tcp4 127.0.0.1:{port}: connect: {_said(error)}"
            ) from error

    async def _dial(self, request: web.BaseRequest) -> web.StreamResponse:
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
                    target = await dial(host, port)
        except TimeoutError:
            return web.Response(status=502, text=f"dial tcp {host}:{port}: i/o timeout")
        except (OSError, ssl.SSLError) as error:
            text = f"dial tcp {host}:{port}: connect: {_said(error)}"
            return web.Response(status=502, text=text)
        await splice(hijack(request, {"Connection": "Upgrade", "Upgrade": "tcp"}), target)
        return Hijacked()

    # ---- look-ups ------------------------------------------------------------------------------------

    def _worker(self, namespace: str, name: str) -> PodWorker | None:
        """The pod's; of a namesake that is still ending beside it the older one is not meant."""
        for worker in reversed(tuple(self._agent.workers.values())):
            meta = worker.pod.metadata
            if (meta.namespace, meta.name) == (namespace, name):
                return worker
        return None

    def _target(self, parts: Sequence[str]) -> tuple[PodWorker, str]:
        """The pod and the id of the running container of /namespace/pod[/uid]/container. Raises Refused."""
        if len(parts) not in (3, 4):
            raise Refused(404, "404 page not found")
        worker = self._worker(parts[0], parts[1])
        if worker is None or (len(parts) == 4 and worker.pod.metadata.uid != parts[2]):
            raise Refused(404, "pod does not exist")
        container = running_container(worker.observed, parts[-1])
        if container is None:
            raise Refused(500, f'container not found ("{parts[-1]}")')
        return worker, container.id


class _Run:
    """One run of a container of a pod."""

    def __init__(self, worker: PodWorker, identifier: str) -> None:
        self._worker, self._id = worker, identifier

    def over(self) -> bool:
        return ended(self._worker.observed, self._id)

    def looked(self) -> asyncio.Future[None]:
        return self._worker.looked()


async def _sent(
    request: web.BaseRequest, pieces: AsyncGenerator[bytes, None], wanted: Wanted
) -> web.StreamResponse:
    """A log: whole, if all of it is there at once."""
    first = second = b""
    if not wanted.follow:
        with contextlib.suppress(FileNotFoundError):  # nothing was written yet, or it has been tidied away
            first, second = await anext(pieces, b""), await anext(pieces, b"")
        if not second:
            return web.Response(body=first, content_type="text/plain")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        for piece in (first, second):
            await response.write(piece)
        async for piece in pieces:
            await response.write(piece)
    except FileNotFoundError:
        pass
    except ConnectionError:
        return response
    await response.write_eof()
    return response


def _said(error: OSError) -> str:
    """As Go says it: connection refused, no route to host …"""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _pod_list(pods: Iterable[Pod]) -> dict[str, object]:
    items = [to_dict(pod) for pod in pods]
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
