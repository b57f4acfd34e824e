"""The scheduler: takes pods from the queue one at a time, binds them in the background, says why when it can't."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from minikube.api.core_v1 import Namespace, Node, Pod
from minikube.api.meta import Object
from minikube.api.policy_v1 import PodDisruptionBudget
from minikube.client.base import Client, Informer, Informers, PatchType
from minikube.client.events import EventRecorder
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.scheduler.binding import BindError, Gone, bind, reserve
from minikube.scheduler.cache import Cache, finished
from minikube.scheduler.cycle import Chosen, NoFit, find_node, resolvable
from minikube.scheduler.framework import ClusterEvent, Cycle, Handle
from minikube.scheduler.plugins import PLUGINS
from minikube.scheduler.preemption import find_victims
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
        self._bindings: set[asyncio.Task[None]] = set()
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
            for task in self._bindings:
                task.cancel()

    # ---- what changes --------------------------------------------------------------------------------

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._cache.remove_node(old.metadata.name)
            return
        self._cache.set_node(new)
        if old is None or _matters(old, new):
            self._queue.wake(None)

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self._queue.remove(old.metadata.uid)
            self._cache.remove_pod(old.metadata.uid)
            self._queue.wake(None)
            return
        if new.spec.node_name or finished(new):
            self._queue.remove(new.metadata.uid)
            self._cache.set_pod(new)
            if finished(new):
                self._queue.wake(None)
            elif old is None or not old.spec.node_name:
                self._queue.wake(frozenset({"InterPodAffinity", "PodTopologySpread"}))
        elif new.metadata.deletion_timestamp is not None:
            self._queue.remove(new.metadata.uid)
        elif new.spec.scheduler_name == NAME:
            self._queue.add(new)

    def _waker(self, plugin: str, event: ClusterEvent) -> Callable[[Object | None, Object | None], None]:
        """Gives pods that this plugin rejected another try."""

        def handle(old: Object | None, new: Object | None) -> None:
            self._queue.wake(frozenset({plugin}), lambda pod: event.wakes(pod, old, new))

        return handle

    # ---- one attempt ---------------------------------------------------------------------------------

    async def _schedule(self, waiting: Waiting) -> None:
        pod = waiting.pod
        cycle = Cycle(nodes=self._cache.nodes(), listers=self._listers)
        found = find_node(cycle, pod, self._plugins, self._chance)
        if isinstance(found, Chosen):
            refused = reserve(self._plugins, cycle, pod, found.node)
            if refused is not None:
                found = NoFit(1, {found.node: refused})
        if isinstance(found, Chosen):
            self._cache.assume(pod, found.node)
            task = asyncio.create_task(self._bind(waiting, cycle, found.node), name=f"bind {pod.metadata.name}")
            self._bindings.add(task)
            task.add_done_callback(self._bindings.discard)
        else:
            await self._explain(waiting, cycle, found)
        await asyncio.sleep(0)

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

    async def _explain(self, waiting: Waiting, cycle: Cycle, no_fit: NoFit) -> None:
        pod = waiting.pod
        victims = find_victims(cycle, pod, no_fit, self._plugins, self._budgets.lister.list())
        if victims is not None:
            for victim in victims.pods:
                self._events.normal(
                    victim, "Preempted", f"Preempted by pod {pod.metadata.uid} on node {victims.node}"
                )
                await self._preempt(victim, pod)
        message = no_fit.message("" if victims else preemption_note(no_fit))
        self._events.warning(pod, "FailedScheduling", message)
        self._queue.park(waiting, no_fit.plugins)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        }
        status: dict[str, Any] = {"conditions": [condition]}
        if victims is not None:
            status["nominatedNodeName"] = victims.node
        if _says(pod, message) and victims is None:
            return
        try:
            await self._patch_status(pod, status)
        except ApiError as error:
            log.debug("status of %s: %s", pod.metadata.name, error)

    async def _preempt(self, victim: Pod, by: Pod) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{NAME}: preempting to accommodate a higher priority pod",
        }
        try:
            await self._patch_status(victim, {"conditions": [condition]})
            await self._client.delete(Pod, victim.metadata.name, victim.metadata.namespace, uid=victim.metadata.uid)
        except ApiError as error:
            log.info("preempting %s for %s: %s", victim.metadata.name, by.metadata.name, error)

    async def _patch_status(self, pod: Pod, status: dict[str, Any]) -> None:
        await self._client.patch(
            Pod,
            pod.metadata.name,
            pod.metadata.namespace,
            patch={"status": status},
            type=PatchType.STRATEGIC,
            subresource="status",
        )


def preemption_note(no_fit: NoFit) -> str:
    """What FailedScheduling says after `preemption:` when no victims were found."""
    if no_fit.everywhere is not None or no_fit.nodes == 0:
        return ""
    helpful = len(resolvable(no_fit))
    parts = []
    if helpful:
        parts.append(f"{helpful} No preemption victims found for incoming pod")
    if no_fit.nodes - helpful:
        parts.append(f"{no_fit.nodes - helpful} Preemption is not helpful for scheduling")
    return f"0/{no_fit.nodes} nodes are available: {', '.join(parts)}."


def _matters(old: Node, new: Node) -> bool:
    """Something of a node changed that a plugin looks at."""
    if (old.spec, old.metadata.labels) != (new.spec, new.metadata.labels):
        return True
    return old.status.allocatable != new.status.allocatable or old.status.conditions != new.status.conditions


def _says(pod: Pod, message: str) -> bool:
    return any(c.type == "PodScheduled" and c.message == message for c in pod.status.conditions)
