"""exec, attach and run: processes in containers, for clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minikube.node.kubelet import remotecommand
from minikube.node.kubelet.answers import Handlers, Refused, check_upgrade, target_of
from minikube.node.kubelet.attached import Attached
from minikube.node.kubelet.choose import containers_of, ended
from minikube.node.runtime.base import ExecStreams

if TYPE_CHECKING:
    from minikube.node.agent import Agent


class Commands:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def table(self) -> Handlers:
        return {"exec": self._exec, "attach": self._attach, "run": self._run}

    async def _exec(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        _, container = target_of(self._agent.workers.values(), parts)
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
        worker, container = target_of(self._agent.workers.values(), parts)
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
        check_upgrade(request, "unable to upgrade: missing upgrade headers in request")
        return await remotecommand.serve(request, options, start)

    async def _run(self, request: web.BaseRequest, parts: Sequence[str]) -> web.StreamResponse:
        """The output of a command that is given as one string."""
        _, container = target_of(self._agent.workers.values(), parts)
        command = request.query.get("cmd", "").split()
        result = await self._agent.runtime.exec_sync(container, command, timeout=600)
        if result.exit_code:
            text = result.output.decode(errors="replace")
            raise Refused(500, f"command terminated with exit code {result.exit_code}: {text}")
        return web.Response(body=result.output)
