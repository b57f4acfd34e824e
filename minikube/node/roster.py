"""The pods of this node: a worker for each, whether the API or a manifest asked for it, and nothing beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from minikube.api.core_v1 import Pod
from minikube.client.base import Informers
from minikube.kit.tasks import guard
from minikube.node.pod.admit import admission
from minikube.node.pod.pods import full_name, is_mirror, is_static, is_terminal
from minikube.node.pod.preemption import PREEMPTED
from minikube.node.pod.worker import PodWorker
from minikube.node.runtime.base import RuntimeFault, Sandbox
from minikube.node.static import Mirrors, StaticPods, mirrors

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

SWEEP_EVERY = 60.0


class Roster:
    """`workers` by uid. `run` blocks until cancelled; containers keep running then."""

    def __init__(self, agent: Agent, informers: Informers) -> None:
        self._agent = agent
        self.workers: dict[str, PodWorker] = {}
        self._pods = informers.of(Pod, fields=f"spec.nodeName={agent.node_name}")
        directory = agent.settings.manifests_dir
        self._static = StaticPods(directory, agent.node_name, agent.clock, self._static_changed)
        self.mirrors = Mirrors(agent.client, agent.node_name)
        self._held: dict[tuple[str, str], Pod] = {}
        """Static pods, by namespace and name, that start when another of their name has ended."""
        self._group: asyncio.TaskGroup | None = None

    async def known(self) -> frozenset[str]:
        """The uids of all pods that are to be here, before anybody looks after them."""
        await self._pods.wait_synced()
        await self._static.load()
        node = self._agent.node_name
        mine = {pod.metadata.uid for pod in self._pods.lister.list() if pod.spec.node_name == node}
        return frozenset(mine | self._static.pods.keys())

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(guard("static pods", self._static.run), name="static pods")
                group.create_task(guard("orphans", self._sweep), name="orphans")
                self._pods.add_handler(self._changed)
        finally:
            self._group = None  # informers outlive us: what they tell from now on is for our successor

    def wake_all(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def living(self, besides: str = "") -> Sequence[Pod]:
        """The pods that take up room on the node, with what is allocated to them; `besides` is a uid left out."""
        return [
            each.accounted
            for uid, each in self.workers.items()
            if uid != besides and not (each.gone or each.leaving or each.ending or is_terminal(each.pod))
        ]

    # ---- what changes --------------------------------------------------------------------------------

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if self._group is None:
            return
        if new is None:
            if old is not None and is_mirror(old):
                self._unmirrored(old)
            elif old is not None and (worker := self.workers.get(old.metadata.uid)) is not None:
                worker.removed()
            return
        if old is not None and old.metadata.uid != new.metadata.uid:
            self._changed(old, None)
        if new.spec.node_name != self._agent.node_name:
            return
        worker = self.workers.get(new.metadata.uid)
        if worker is not None:
            worker.update(new)
        elif is_mirror(new):
            self._mirrored(new)
        else:
            self._look_after(new)

    def _static_changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and self._held.get(full_name(old)) == old:
            del self._held[full_name(old)]
        elif old is not None and (worker := self.workers.get(old.metadata.uid)) is not None:
            worker.retire()
        if new is None:
            return
        if any(is_static(each.pod) and full_name(each.pod) == full_name(new) for each in self.workers.values()):
            self._held[full_name(new)] = new  # two of a name never run at once (allowPodStart of the kubelet)
        else:
            self._start_static(new)

    def _start_static(self, new: Pod) -> None:
        mirror = self._pods.lister.get(new.metadata.name, new.metadata.namespace)
        shown = mirror is not None and is_mirror(mirror) and mirrors(mirror, new)
        worker = self._look_after(replace(new, status=mirror.status) if mirror and shown else new)
        worker.mirror = mirror if shown else None

    def _mirrored(self, mirror: Pod) -> None:
        """A mirror shows its static pod; one that shows nothing any more goes."""
        assert self._group is not None
        static = self._static.named(mirror.metadata.namespace, mirror.metadata.name)
        worker = self.workers.get(static.metadata.uid) if static is not None else None
        if any(each is not worker and _shows(each, mirror) for each in self.workers.values()):
            return  # the static pod that it shows is ending, and takes it along
        if static is None or not mirrors(mirror, static) or mirror.metadata.deletion_timestamp is not None:
            self._group.create_task(self.mirrors.delete(mirror), name="removal of a mirror pod")
        elif worker is not None:
            worker.mirror = mirror
            worker.wake()

    def _unmirrored(self, mirror: Pod) -> None:
        """A mirror pod was deleted: the worker of its static pod makes another."""
        static = self._static.named(mirror.metadata.namespace, mirror.metadata.name)
        worker = self.workers.get(static.metadata.uid) if static is not None else None
        if worker is not None:
            if _shows(worker, mirror):
                worker.mirror = None
            worker.wake()

    def _look_after(self, new: Pod) -> PodWorker:
        uid = new.metadata.uid
        worker = PodWorker(self._agent, new)
        if new.status.start_time is None and not is_terminal(new):
            self._admit(worker)
        self.workers[uid] = worker
        assert self._group is not None
        name = f"pod {new.metadata.namespace}/{new.metadata.name}"
        self._group.create_task(self._live(uid, name, worker), name=name)
        return worker

    def _admit(self, worker: PodWorker) -> None:
        """The node's own word on a pod that is new to it."""
        agent, pod = self._agent, worker.pod
        node = agent.node()
        if node is None or pod.metadata.deletion_timestamp is not None:
            return
        found = admission(pod, node, self.living(), agent.abilities, shutting_down=agent.shutting_down)
        ending = agent.under_pressure(pod) or found.refusal
        if ending is not None:
            worker.end(ending)
            agent.recorder.warning(pod, ending.reason, ending.message)
            return
        for victim in found.victims:
            agent.recorder.warning(victim, PREEMPTED.reason, PREEMPTED.message)
            self.workers[victim.metadata.uid].end(PREEMPTED)

    async def _live(self, uid: str, name: str, worker: PodWorker) -> None:
        try:
            await guard(name, worker.run)
        finally:
            self.workers.pop(uid, None)
            if self._group is not None and (next_one := self._held.pop(full_name(worker.pod), None)) is not None:
                self._start_static(next_one)
            for other in self.workers.values():
                if other.observed.resize:  # there may be room now
                    other.wake()

    # ---- what belongs to nobody ----------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await self._agent.clock.sleep(SWEEP_EVERY)
            try:
                await self.remove_orphans(await self.known() | self.workers.keys())
            except RuntimeFault as error:
                log.warning("looking for orphans: %s", error.message)

    async def remove_orphans(self, known: frozenset[str]) -> None:
        """What runs for pods that are no longer there is stopped; the rest is adopted by its workers."""
        orphans = [each for each in await self._agent.runtime.sandboxes() if each.pod_uid not in known]
        await asyncio.gather(*(self._remove(each) for each in orphans if each.pod_uid not in self.workers))

    async def _remove(self, sandbox: Sandbox) -> None:
        runtime = self._agent.runtime
        try:
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)
        except RuntimeFault as error:
            log.warning("orphan %s/%s: %s", sandbox.namespace, sandbox.name, error.message)


def _shows(worker: PodWorker, mirror: Pod) -> bool:
    return worker.mirror is not None and worker.mirror.metadata.uid == mirror.metadata.uid
