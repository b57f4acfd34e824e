"""containerLogs: the log of a container, for `kubectl logs`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from minikube.kit.inotify import NextChange
from minikube.node.container.spec import log_directory
from minikube.node.kubelet.answers import Handlers, Refused, not_found, worker_of
from minikube.node.kubelet.choose import NoLogs, containers_of, ended, logged_run
from minikube.node.kubelet.log_text import Wanted, moment
from minikube.node.kubelet.logs import read

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.pod.worker import PodWorker


class ContainerLogs:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._changes = NextChange()

    def table(self) -> Handlers:
        return {"containerLogs": self._logs}

    async def _logs(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        if len(parts) != 3:
            raise not_found()
        namespace, name, container = parts
        worker = worker_of(self._agent.workers.values(), namespace, name)
        if worker is None:
            raise Refused(404, f'pod "{name}" does not exist')
        if all(each.name != container for each in containers_of(worker.pod)):
            raise Refused(404, f'container "{container}" not found in pod "{name}"')
        wanted = wanted_of(request.query, self._agent.clock.now())
        try:
            run = logged_run(
                worker.pod, worker.observed, container, previous=request.query.get("previous") == "true"
            )
        except NoLogs as error:
            raise Refused(400, str(error)) from error
        path = Path(log_directory(worker.pod, self._agent.settings)) / container / f"{run.attempt}.log"
        async with contextlib.aclosing(read(path, wanted, _Run(worker, run.id), self._changes)) as pieces:
            return await _sent(request, pieces, wanted)


def wanted_of(query: Mapping[str, str], now: datetime) -> Wanted:
    """Of the query of a request. Raises ValueError."""
    since = moment(query["sinceTime"]) if query.get("sinceTime") else None
    if query.get("sinceSeconds"):
        since = now - timedelta(seconds=int(query["sinceSeconds"]))
    return Wanted(
        follow=query.get("follow") == "true",
        timestamps=query.get("timestamps") == "true",
        tail=int(query["tailLines"]) if query.get("tailLines") else None,
        since=since,
        limit=int(query["limitBytes"]) if query.get("limitBytes") else None,
        stream=query.get("stream") or "All",
    )


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
