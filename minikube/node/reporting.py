"""What the API is told of this node: its status, every ten seconds and when it changes, and events about it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Node
from minikube.errors import ApiError
from minikube.node import node_events
from minikube.node.node_events import Told
from minikube.node.node_status import BEHIND_NAT
from minikube.node.registration import Registration
from minikube.node.runtime.base import Image, RuntimeFault, RuntimeInfo

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

CHECK_EVERY = 10.0


class Reporting:
    def __init__(self, agent: Agent, registration: Registration) -> None:
        self._agent, self._registration = agent, registration
        self._now = asyncio.Event()
        self._trouble = ""

    def cannot_run_pods(self, trouble: str) -> None:
        """Why this node is not ready, whatever its runtime says; empty: it is again."""
        if trouble != self._trouble:
            self._trouble = trouble
            self.soon()

    def soon(self) -> None:
        """Something that the node's status shows has changed."""
        self._now.set()

    def seen_from(self, server: str, address: str) -> None:
        """Where a server says that this node has come from."""
        if self._registration.seen(server, address):
            self.soon()
            if told := self._registration.apart:
                log.warning("%s", told)
                self.tell(self._agent.node(), Told(BEHIND_NAT, told, warning=True))

    def tell(self, node: Node | None, *happened: Told | None) -> None:
        """Events about this node, once the API knows it."""
        for told in happened:
            if told is not None and node is not None:
                recorder = self._agent.recorder
                record = recorder.warning if told.warning else recorder.normal
                record(node, told.reason, told.message)

    async def run(self) -> None:
        """Until cancelled."""
        starting: Told | None = node_events.STARTING
        cordoned = False
        while True:
            info, images = await self._runtime()
            try:
                before, after = await self._registration.report(
                    info,
                    images,
                    self._agent.conditions,
                    self._agent.devices.supply(),
                    trouble=self._trouble,
                    shutting_down=self._agent.shutting_down,
                )
            except ApiError as error:
                log.warning("node status not written: %s", error)
            else:
                was, cordoned = cordoned, bool(after.spec.unschedulable)
                scheduling = node_events.scheduling(after.metadata.name, was=was, cordoned=cordoned)
                self.tell(after, starting, *node_events.changes(before, after), scheduling)
                starting = None
            self._now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY):
                    await self._now.wait()

    async def follow_kernel(self) -> None:
        """Tell of processes that die for want of memory, until cancelled."""
        try:
            async for record in node_events.follow_kernel():
                self.tell(self._agent.node(), node_events.out_of_memory(record))
        except OSError as error:
            log.info("no word of processes that die for want of memory: %s", error)
            await asyncio.Event().wait()

    async def _runtime(self) -> tuple[RuntimeInfo | None, Sequence[Image]]:
        """What it says of itself, and its images; nothing when it does not answer."""
        try:
            info, images = await self._agent.runtime.info(), await self._agent.runtime.images()
        except RuntimeFault as error:
            log.warning("the runtime does not answer: %s", error.message)
            return None, ()
        self._agent.runtime_is(info)
        return info, images
