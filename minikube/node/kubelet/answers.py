"""What the handlers of the kubelet's API share: their shape, refusals in plain text, and whom a URL means."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minikube.node.kubelet.choose import running_container

if TYPE_CHECKING:
    from minikube.node.pod.worker import PodWorker

Handler = Callable[[web.BaseRequest, Sequence[str]], Awaitable[web.StreamResponse]]
"""(request, the rest of its path in parts); raises Refused, ValueError (400), RuntimeFault (500)."""
Handlers = Mapping[str, Handler]
"""By the first part of a path."""


class Refused(Exception):
    """An answer in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def not_found() -> Refused:
    return Refused(404, "404 page not found")


def check_upgrade(request: web.BaseRequest, text: str) -> None:
    """Raises Refused, with this text, unless the client wants to speak another protocol."""
    if "upgrade" not in request.headers.get("Connection", "").lower():
        raise Refused(400, text)


def json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def said(error: OSError) -> str:
    """As Go says it: connection refused, no route to host …"""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)


def worker_of(workers: Iterable[PodWorker], namespace: str, name: str) -> PodWorker | None:
    """The pod's; of a namesake that is still ending beside it the older one is not meant."""
    for worker in reversed(tuple(workers)):
        meta = worker.pod.metadata
        if (meta.namespace, meta.name) == (namespace, name):
            return worker
    return None


def target_of(workers: Iterable[PodWorker], parts: Sequence[str]) -> tuple[PodWorker, str]:
    """The pod and the id of the running container of /namespace/pod[/uid]/container. Raises Refused."""
    if len(parts) not in (3, 4):
        raise not_found()
    worker = worker_of(workers, parts[0], parts[1])
    if worker is None or (len(parts) == 4 and worker.pod.metadata.uid != parts[2]):
        raise Refused(404, "pod does not exist")
    container = running_container(worker.observed, parts[-1])
    if container is None:
        raise Refused(500, f'container not found ("{parts[-1]}")')
    return worker, container.id
