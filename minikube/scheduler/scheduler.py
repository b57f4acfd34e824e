"""The scheduler: takes pods from the queue one at a time, binds them in the background, says why when it can't."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from minikube.api import time
from minikube.api.core_v1 import Namespace, Node, Pod
from minikube.api.meta import Object
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.client.base import Client, Informer, Informers, PatchType
from minikube.client.events import EventRecorder
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.scheduler.binding import BindError, Gone, bind, reserve
from minikube.scheduler.cache import Cache, finished
from minikube.scheduler.cycle import Chosen, NoFit, find_node
from minikube.scheduler.framework import ClusterEvent, Cycle, Handle
from minikube.scheduler.nominated import Nominated
from minikube.scheduler.plugins import PLUGINS
from minikube.scheduler.preemption import Victims, find_victims, no_victims, not_eligible, priority
from minikube.scheduler.queue import Queue, Waiting

log = logging.getLogger(__name__)

NAME = "default-scheduler"


class Scheduler:
    def __init__(
        self,
        client: Client,
        informers: Informers,
        events: EventRecorder,
        clock: Clock,
        plugins: Sequence[type[Any]] = PLUGINS,
    ) -> None:
        self._client = client
        self._events = events
        self._handle = Handle(client, informers, events, clock)
        self._queue = Queue(clock)
        self._cache = Cache()
        self._plugins = [plugin() for plugin in plugins]
        self._chance = random.Random()
        self._nominated = Nominated()
        self._background: set[asyncio.Task[None]] = set()
        self._pods = informers.of(Pod)
        self._nodes = informers.of(Node)
        self._budgets = informers.of(PodDisruptionBudget)
        read = {Namespace, *(kind for plugin in self._plugins for kind in getattr(plugin, "reads", ()))}
        self._read: dict[type[Object], Informer[Any]] = {kind: informers.of(kind) for kind in read}
        self._listers = {kind: informer.lister for kind, informer in self._read.items()}

    async def run(self) -> None:
        """Schedule until cancelled."""
        followed: tuple[Informer[Any], ...] = (self._pods, self._nodes, self._budgets, *self._read.values())
        for informer in followed:
            await informer.wait_synced()
        self._nodes.add_handler(self._on_node)
        self._pods.add_handler(self._on_pod)
        for plugin in self._plugins:
            for event in plugin.events() if hasattr(plugin, "events") else ():
                informer = self._handle.informers.of(event.kind)
                await informer.wait_synced()
                informer.add_handler(self._waker(plugin.name, event))
        try:
            while True:
                await self._schedule(await self._queue.pop())
        finally:
            self._queue.close()
            for task in self._background:
                task.cancel()

    # ---- what changes --------------------------------------------------------------------------------

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            self._cache.set_node(new)
        elif old is not None:
            self._cache.remove_node(old.metadata.name)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self._forget(old)
            self._cache.remove_pod(old.metadata.uid)
        elif new.spec.node_name or finished(new):
            self._forget(new)
            self._cache.set_pod(new)
        elif new.metadata.deletion_timestamp is not None:
            self._forget(new)
        elif new.spec.scheduler_name == NAME:
            self._queue.add(new)
            self._nominated.put(new, new.status.nominated_node_name)

    def _forget(self, pod: Pod) -> None:
        """It needs no node any more."""
        self._queue.remove(pod.metadata.uid)
        self._nominated.remove(pod.metadata.uid)

    def _waker(self, plugin: str, event: ClusterEvent) -> Callable[[Object | None, Object | None], None]:
        """Gives pods that this plugin rejected another try."""

        def handle(old: Object | None, new: Object | None) -> None:
            self._queue.wake(frozenset({plugin}), lambda pod: event.wakes(pod, old, new))

        return handle

    # ---- one attempt ---------------------------------------------------------------------------------

    async def _schedule(self, waiting: Waiting) -> None:
        """Decide in one step, park or bind; what has to be said or removed follows, and nothing that changes
        meanwhile is missed."""
        pod = waiting.pod
        nodes = self._cache.nodes()
        cycle = Cycle(nodes=nodes, nominated=self._nominated.by_node(), listers=self._listers)
        found = find_node(cycle, pod, self._plugins, self._chance)
        if isinstance(found, Chosen):
            refused = reserve(self._plugins, cycle, pod, found.node)
            if refused is not None:
                found = NoFit(1, {found.node: refused})
        if isinstance(found, Chosen):
            self._cache.assume(pod, found.node)
            self._start(self._bind(waiting, cycle, found.node), f"bind {pod.metadata.name}")
        else:
            self._give_up(waiting, cycle, found)
        await asyncio.sleep(0)

    def _give_up(self, waiting: Waiting, cycle: Cycle, no_fit: NoFit) -> None:
        """For now. Perhaps others have to make room."""
        pod = waiting.pod
        why = not_eligible(pod, cycle.nodes)
        victims = None
        if not why and no_fit.everywhere is None:
            victims = find_victims(cycle, pod, no_fit, self._plugins, self._budgets.lister.list())
        displaced: Sequence[Pod] = ()
        if victims is not None:
            message = no_fit.message()
            displaced = self._nominated.displaced(victims.node, priority(pod))
            self._nominated.put(pod, victims.node)
        else:
            message = no_fit.message(why or no_victims(no_fit))
            if not why:
                self._nominated.remove(pod.metadata.uid)
        self._queue.park(waiting, no_fit.plugins)
        self._events.warning(pod, "FailedScheduling", message)
        node = victims.node if victims is not None else pod.status.nominated_node_name if why else ""
        self._start(self._explain(pod, message, node, victims), f"explain {pod.metadata.name}")
        for other in displaced:
            self._start(self._nominate(other, ""), f"displace {other.metadata.name}")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _bind(self, waiting: Waiting, cycle: Cycle, node: str) -> None:
        pod = waiting.pod
        try:
            await bind(self._handle, self._plugins, cycle, pod, node)
        except Gone:
            self._cache.remove_pod(pod.metadata.uid)
            self._queue.remove(pod.metadata.uid)
        except BindError as error:
            self._cache.remove_pod(pod.metadata.uid)
            self._events.warning(pod, "FailedScheduling", str(error))
            self._queue.retry(waiting)
        else:
            where = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self._events.normal(pod, "Scheduled", f"Successfully assigned {where} to {node}")

    async def _explain(self, pod: Pod, message: str, node: str, victims: Victims | None) -> None:
        """Tell the pod why it waits, and for which node, then make room for it there."""
        if pod.status.nominated_node_name != node or not _says(pod, message):
            await self._nominate(pod, node, message)
        if victims is not None:
            await asyncio.gather(*(self._preempt(victim, pod, victims.node) for victim in victims.pods))

    async def _nominate(self, pod: Pod, node: str, message: str = "") -> None:
        status: dict[str, Any] = {"nominatedNodeName": node or None}
        if message:
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            status["conditions"] = [condition]
        try:
            await self._patch_status(pod, status)
        except ApiError as error:
            log.debug("status of %s: %s", pod.metadata.name, error)

    async def _preempt(self, victim: Pod, by: Pod, node: str) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{NAME}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": time.text(self._handle.clock.now()),
        }
        meta = victim.metadata
        try:
            await self._patch_status(victim, {"conditions": [condition]})
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            log.info("preempting %s for %s: %s", meta.name, by.metadata.name, error)
            return
        self._events.normal(victim, "Preempted", f"Preempted by pod {by.metadata.uid} on node {node}")

    async def _patch_status(self, pod: Pod, status: dict[str, Any]) -> None:
        await self._client.patch(
            Pod,
            pod.metadata.name,
            pod.metadata.namespace,
            patch={"metadata": {"uid": pod.metadata.uid}, "status": status},
            type=PatchType.STRATEGIC,
            subresource="status",
        )


def _says(pod: Pod, message: str) -> bool:
    return any(c.type == "PodScheduled" and c.message == message for c in pod.status.conditions)
