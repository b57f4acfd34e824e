"""What the kubelet's API shows of the node: health, configuration, pods, statistics, metrics, /var/log."""

from __future__ import annotations

import asyncio
import html
import mimetypes
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minikube.api.core_v1 import Pod
from minikube.api.meta import to_dict
from minikube.node.kubelet.answers import Handlers, json, not_found
from minikube.node.kubelet.metrics import cadvisor_text, kubelet_text, probes_text, resource_text, volumes_text
from minikube.node.kubelet.stats import Stats
from minikube.node.runtime.base import State

if TYPE_CHECKING:
    from minikube.node.agent import Agent

VAR_LOG = Path("/var/log")
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Pages:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._stats = Stats(agent)

    def table(self) -> Handlers:
        return {
            "healthz": self._healthz,
            "configz": self._configz,
            "pods": self._pods,
            "runningpods": self._running_pods,
            "stats": self._summary,
            "metrics": self._metrics,
            "logs": self._files,
        }

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
        return json({"kubeletconfig": config})

    async def _pods(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        return json(_pod_list(worker.pod for worker in self._agent.workers.values()))

    async def _running_pods(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        running = []
        for worker in self._agent.workers.values():
            names = {each.name for each in worker.observed.containers if each.state is State.RUNNING}
            if names:
                pod = worker.pod
                containers = tuple(each for each in pod.spec.containers if each.name in names)
                spec = msgspec.structs.replace(pod.spec, containers=containers, init_containers=())
                running.append(msgspec.structs.replace(pod, spec=spec))
        return json(_pod_list(running))

    async def _summary(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if parts != ["summary"]:
            raise not_found()
        return json(await self._stats.summary(volumes=True))

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
            raise not_found()
        return web.Response(body=text.encode(), headers={"Content-Type": PROMETHEUS})

    async def _files(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        """/logs/: the host's /var/log, as a file server shows it."""
        path = VAR_LOG.joinpath(*parts)
        if ".." in parts or not await asyncio.to_thread(path.exists):
            raise not_found()
        if await asyncio.to_thread(path.is_dir):
            entries = await asyncio.to_thread(lambda: sorted(path.iterdir()))
            names = [each.name + ("/" if each.is_dir() else "") for each in entries]
            links = "".join(f'<a href="{name}">{name}</a>\n' for name in map(html.escape, names))
            return web.Response(text=f"<pre>\n{links}</pre>\n", content_type="text/html")
        kind = mimetypes.guess_type(path.name)[0] or "text/plain"
        return web.FileResponse(path, headers={"Content-Type": kind})


def _pod_list(pods: Iterable[Pod]) -> dict[str, object]:
    items = [to_dict(pod) for pod in pods]
    return {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}
