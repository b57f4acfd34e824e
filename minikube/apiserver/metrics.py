"""metrics.k8s.io/v1beta1: what nodes and pods use now, asked of their agents when somebody asks.

Nothing is stored and nothing polls: `kubectl top` and autoscalers cost what they ask for. Rules: k8s.io/metrics and
metrics-server (a pod without a measured container is left out; a node that does not answer, too).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web

from minikube.api.core_v1 import Node, Pod
from minikube.api.meta import PartialObject, Resource
from minikube.api.selectors import SelectorError, parse_labels
from minikube.apiserver.answers import answer
from minikube.apiserver.negotiation import wanted
from minikube.apiserver.request_info import RequestInfo, request_info
from minikube.auth.base import User
from minikube.client.base import Informers
from minikube.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from minikube.resources.base import Kind
from minikube.transport.parking import Nodes

log = logging.getLogger(__name__)

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
ASK_SECONDS = 10.0
READ = ("get", "list")
KINDS = tuple(
    Kind(resource=Resource(GROUP, VERSION, kind, plural, namespaced), type=PartialObject, verbs=READ)
    for kind, plural, namespaced in (("NodeMetrics", "nodes", False), ("PodMetrics", "pods", True))
)
Json = dict[str, Any]


class Metrics:
    kinds: Sequence[Kind] = KINDS

    def __init__(self, informers: Informers, nodes: Nodes) -> None:
        self._nodes, self._connections = informers.of(Node).lister, nodes
        self._pods = informers.of(Pod).lister

    async def serve(self, request: web.BaseRequest, info: RequestInfo) -> web.StreamResponse:
        """Raises NotFound, MethodNotAllowed."""
        found = await self.read(info, request.query)
        return answer(msgspec.json.encode(found), wanted(request.headers.get("Accept", ""), views=False))

    async def raw(self, method: str, path: str, body: Any, user: User) -> Any:
        """The same for whoever is in this process."""
        parts = urlsplit(path)
        info = request_info(method, parts.path)
        if info.group != GROUP:
            raise NotFound.path()
        return await self.read(info, dict(parse_qsl(parts.query)))

    async def read(self, info: RequestInfo, query: Mapping[str, str]) -> Json:
        if info.version != VERSION or info.resource not in ("nodes", "pods") or info.subresource:
            raise NotFound.path()
        if info.verb not in READ:
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        try:
            matches = parse_labels(query.get("labelSelector", ""))
        except SelectorError as error:
            raise BadRequest(f"unable to parse requirement: {error}") from error
        if info.resource == "nodes":
            chosen = [node for node in self._nodes.list() if not info.name or node.metadata.name == info.name]
            names = [node.metadata.name for node in chosen if matches.matches(node.metadata.labels)]
            labels = {node.metadata.name: dict(node.metadata.labels) for node in chosen}
            items = [node_metrics(each, labels) for each in await self._summaries(names)]
        else:
            pods = [
                pod
                for pod in self._pods.list(info.namespace)
                if (not info.name or pod.metadata.name == info.name) and matches.matches(pod.metadata.labels)
            ]
            names = sorted({pod.spec.node_name for pod in pods if pod.spec.node_name})
            items = list(pod_metrics(pods, await self._summaries(names)))
        if info.name:
            if not items:
                raise NotFound.of(info.resource, GROUP, info.name)
            return items[0]
        kind = "NodeMetricsList" if info.resource == "nodes" else "PodMetricsList"
        return {"kind": kind, "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}

    async def _summaries(self, names: Sequence[str]) -> Sequence[Json]:
        """Of the nodes that answer."""
        found = await asyncio.gather(*(self._summary(name) for name in names))
        return [each for each in found if each is not None]

    async def _summary(self, node: str) -> Json | None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                async with await self._connections.request(node, "GET", "/stats/summary") as response:
                    found: Json | None = msgspec.json.decode(await response.read())
                    return found if response.status == 200 else None
        except (ApiError, TimeoutError, msgspec.DecodeError) as error:
            log.info("no metrics of node %s: %s", node, str(error) or type(error).__name__)
            return None


def node_metrics(summary: Json, labels: Mapping[str, dict[str, str]]) -> Json:
    stats = summary["node"]
    name = stats["nodeName"]
    metadata = {"name": name, "creationTimestamp": stats["cpu"]["time"], "labels": labels.get(name, {})}
    return {**_head("NodeMetrics", metadata, summary), "usage": usage(stats)}


def pod_metrics(pods: Iterable[Pod], summaries: Iterable[Json]) -> Iterator[Json]:
    known = {pod.metadata.uid: pod for pod in pods}
    for summary in summaries:
        for stats in summary["pods"]:
            pod = known.get(stats["podRef"]["uid"])
            if pod is None or not stats["containers"]:
                continue
            metadata = {
                "name": pod.metadata.name,
                "namespace": pod.metadata.namespace,
                "creationTimestamp": stats["cpu"]["time"],
                "labels": dict(pod.metadata.labels),
            }
            containers = [{"name": each["name"], "usage": usage(each)} for each in stats["containers"]]
            yield {**_head("PodMetrics", metadata, summary), "containers": containers}


def usage(stats: Json) -> dict[str, str]:
    return {
        "cpu": f"{stats['cpu']['usageNanoCores']}n",
        "memory": f"{stats['memory']['workingSetBytes'] // 1024}Ki",
    }


def _head(kind: str, metadata: Json, summary: Json) -> Json:
    node = summary["node"]
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": metadata,
        "timestamp": node["cpu"]["time"],
        "window": f"{node['rateWindowSeconds']:.3f}s",
    }
