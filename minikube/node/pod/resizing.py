"""Keeps one pod's allocation, and brings running containers to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Pod, PodCondition, ResourceRequirements
from minikube.node.container.spec import resources_of
from minikube.node.pod.pods import container_named
from minikube.node.pod.resize import (
    NOTHING,
    WHOLE,
    Verdict,
    asked,
    described,
    judge,
    needs_restart,
    outstanding,
    remembered,
    told,
    too_small,
    with_allocation,
)
from minikube.node.runtime.base import Container, RuntimeFault, State

if TYPE_CHECKING:
    from minikube.node.agent import Agent

RETRY = 10.0
"""Seconds until what did not fit is tried again."""
log = logging.getLogger(__name__)


class Resizer:
    def __init__(self, agent: Agent, pod: Pod) -> None:
        self._agent = agent
        self.allocated = remembered(pod)
        self.actual: dict[str, ResourceRequirements] = {}
        """Container id -> what it runs with."""
        self.whole = self.allocated.get(WHOLE)
        """What the pod's control group is set to, of a pod that has resources of its own."""
        self._verdict = Verdict(self.allocated)
        self._error = ""
        self._held = False
        """What could not be done is to be left alone for a while."""

    def consider(self, pod: Pod, containers: Sequence[Container]) -> None:
        """Allocate what the spec asks now, if the node can give it."""
        given = {each.id: self.allocated.get(each.name, ResourceRequirements()) for each in containers}
        self.actual = {key: self.actual.get(key, resources) for key, resources in given.items()}
        if self._verdict.reason == "" and asked(pod) == self.allocated:
            return
        node = self._agent.node()
        if node is None:
            return
        verdict = judge(pod, self.allocated, node, self._agent.living(besides=pod.metadata.uid))
        if verdict.reason and (verdict.reason, verdict.message) != (self._verdict.reason, self._verdict.message):
            self._agent.recorder.warning(pod, f"Resize{verdict.reason}", f"Pod resize {verdict.message}")
        if verdict.allocated != self.allocated:
            self._error, self._held = "", False
            started = f"Pod resize started: {described(pod, verdict.allocated)}"
            self._agent.recorder.normal(pod, "ResizeStarted", started)
        self._verdict, self.allocated = verdict, verdict.allocated

    def conditions(self, pod: Pod, containers: Sequence[Container]) -> tuple[PodCondition, ...]:
        going_on = self._group_due(containers) is not None
        going_on = going_on or any(True for _ in outstanding(pod, containers, self.allocated, self.actual))
        return told(self._verdict, in_progress=going_on, error=self._error)

    def pending(self, pod: Pod, containers: Sequence[Container]) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of containers to update as they run, and of those to start anew."""
        update: set[str] = set()
        restart: set[str] = set()
        for wanted, container in outstanding(pod, containers, self.allocated, self.actual):
            before, after = self.actual[container.id], self.allocated[wanted.name]
            if needs_restart(wanted, before, after):
                restart.add(container.id)
            elif not self._held:
                update.add(container.id)
        due = self._group_due(containers)
        if due is not None and not (update or restart or self._held):
            update.add(due.id)
        return frozenset(update), frozenset(restart)

    def _group_due(self, containers: Sequence[Container]) -> Container | None:
        """The pod's group has still to be set: that is done with any container that runs."""
        if self.whole == self.allocated.get(WHOLE):
            return None
        return next((each for each in containers if each.state is State.RUNNING), None)

    async def update(self, pod: Pod, container: Container) -> None:
        agent = self._agent
        given = self.allocated.get(container.name, _own(pod, container.name))
        whole = with_allocation(pod, self.allocated)
        if why := await self._too_small(pod):
            self._failed(pod, why)
            self._held = True
            asyncio.get_running_loop().call_later(RETRY, self._again, pod)
            return
        try:
            await agent.regroup(whole)
            await agent.runtime.update_container(container.id, resources_of(whole, given, agent.memory_capacity))
        except RuntimeFault as error:
            self._failed(pod, error.message)
            raise
        self._error = ""
        self.actual[container.id], self.whole = given, self.allocated.get(WHOLE)
        agent.recorder.normal(pod, "ResizeCompleted", f"Pod resize completed: {described(pod, self.allocated)}")

    async def _too_small(self, pod: Pod) -> str:
        used = [each for each in await self._agent.runtime.usage() if each.container in self.actual]
        before = {each.name: self.actual[each.container] for each in used}
        if self.whole is not None:
            before[WHOLE] = self.whole
        return too_small(pod, before, self.allocated, {each.name: each.memory_usage for each in used})

    def _failed(self, pod: Pod, why: str) -> None:
        if not self._error:
            error = described(pod, self.allocated, why)
            self._agent.recorder.warning(pod, "ResizeError", f"Pod resize error: {error}")
        self._error = why

    def _again(self, pod: Pod) -> None:
        self._held = False
        self._agent.wake(pod)


def _own(pod: Pod, name: str) -> ResourceRequirements:
    """Of an init container that cannot be resized."""
    wanted = container_named(pod, name)
    return wanted.resources or NOTHING if wanted is not None else NOTHING
