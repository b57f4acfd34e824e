"""One pod's life on this node: looks, publishes the status, decides, acts, waits for the next reason to look.

Acts run beside it, in lanes: one that starts things in order, one for each container that is to be replaced, one
that ends the pod. So a slow pull or a long grace period holds up neither the status nor a change of mind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Pod
from minikube.api.meta import replace_meta
from minikube.errors import ApiError
from minikube.node.devices.base import Refused
from minikube.node.pod.decide import (
    Action,
    AttachNetwork,
    Discard,
    DiscardSandbox,
    Kill,
    RemovePod,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Terminate,
    UpdateResources,
    Wait,
    decide,
    is_over,
    lost,
)
from minikube.node.pod.observed import Ending, Observed
from minikube.node.pod.pods import containers_of, grace_of, is_static, is_terminal, overdue
from minikube.node.pod.publishing import Publisher, newer, overlaid
from minikube.node.pod.resize import with_allocation
from minikube.node.pod.resizing import Resizer
from minikube.node.pod.restarts import renewed, runs_again, wait_left
from minikube.node.pod.starting import Starter
from minikube.node.pod.status import TOO_LONG, pod_status
from minikube.node.pod.stopping import Stopper
from minikube.node.runtime.base import RuntimeFault, State

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

LOOK_AGAIN = 60.0
FAULT_RETRY = 1.0
START, END = "start", "end"


class PodWorker:
    """`pod` is the newest object, with our newest status; `gone`: it no longer exists in the API."""

    def __init__(self, agent: Agent, pod: Pod) -> None:
        self._agent = agent
        self.api_pod = self.pod = pod
        self.mirror: Pod | None = None
        """What the API shows of a static pod."""
        self.gone = False
        self.leaving = False
        """Nothing of it runs any more; only its object has still to go."""
        self.observed = Observed()
        self.ending: Ending | None = None
        self._wake = asyncio.Event()
        self._looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopper = Stopper(agent)
        self._starter = Starter(agent, self._stopper)
        self._resizer = Resizer(agent, pod)
        self._publisher = Publisher(agent.client, agent.clock)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._ended = 0
        self._told: set[str] = set()
        self._followed: set[str] = set()
        """Ids of containers that are or were ended for another run to follow."""
        self._proven = _proven(pod)
        self._gone_by = self._end_of_grace(pod)

    def update(self, pod: Pod) -> None:
        """A newer object; a shorter grace interrupts a running stop, another image a wait."""
        old = self.api_pod
        self.api_pod = newer(pod, old) if pod.metadata.uid == old.metadata.uid else pod
        self.pod = overlaid(self.api_pod, self.pod.status)
        if pod.metadata.deletion_timestamp != old.metadata.deletion_timestamp:
            self._gone_by = self._end_of_grace(pod)
            self._interrupt()
        if pod.spec != old.spec or pod.metadata.annotations != old.metadata.annotations:
            self._starter.changed(old, pod)
        self.wake()

    def removed(self) -> None:
        """The object was deleted from the API: stop at once, report nothing more."""
        self.gone = True
        self._gone_by = None
        self._publisher.close()
        self._interrupt()
        self.wake()

    def retire(self) -> None:
        """The manifest of a static pod has gone: end it with its own grace."""
        grace = grace_of(self.api_pod)
        end = self._agent.clock.now() + timedelta(seconds=grace)
        self.update(replace_meta(self.api_pod, deletion_timestamp=end, deletion_grace_period_seconds=int(grace)))

    def _end_of_grace(self, pod: Pod) -> datetime | None:
        """All of the grace counts from when the deletion is seen: no clock but ours has a part in it."""
        if pod.metadata.deletion_timestamp is None:
            return None
        return self._agent.clock.now() + timedelta(seconds=grace_of(pod))

    def end(self, ending: Ending) -> None:
        """End the pod although nobody deleted it; the first reason stands."""
        if self.ending is None and not is_terminal(self.pod):
            self.ending = ending
            self._interrupt()
            self.wake()

    def wake(self) -> None:
        self._wake.set()

    async def ended(self) -> None:
        """Until nothing of the pod runs any more."""
        while self.observed.running or self._lanes:
            await asyncio.wait({self._looked})

    @property
    def ends(self) -> bool:
        """It is to go, or has begun to."""
        return self.gone or self.ending is not None or self.api_pod.metadata.deletion_timestamp is not None

    def looked(self) -> asyncio.Future[None]:
        """Done when `observed` is another. It is shared: never cancel it."""
        return self._looked

    @property
    def accounted(self) -> Pod:
        """The pod with what the node has allocated to it."""
        return with_allocation(self.pod, self._resizer.allocated)

    def retry(self) -> None:
        """Something that failed may work now: no need to wait for its turn."""
        self._starter.problems.clear()
        self.wake()

    def _interrupt(self) -> None:
        for task in self._lanes.values():
            task.cancel()

    async def run(self) -> None:
        """Until the pod is gone from node and API."""
        try:
            await self._set_devices_aside()
            while True:
                self._wake.clear()
                timeout = LOOK_AGAIN
                try:
                    wait = await self._step()
                    if wait is None:
                        return
                    timeout = min(timeout, wait)
                except (RuntimeFault, ApiError, OSError) as error:
                    log.warning("pod %s/%s: %s", self.pod.metadata.namespace, self.pod.metadata.name, error)
                    timeout = FAULT_RETRY
                with contextlib.suppress(
                    TimeoutError
                ):  # not wait_for: 3.11's loses a cancellation that meets a wake
                    async with asyncio.timeout(timeout):
                        await self._wake.wait()
        finally:
            self._interrupt()
            self._publisher.close()

    async def _set_devices_aside(self) -> None:
        """The last part of the admission of a pod that is new to the node; the words are GetPodAdmitResult's."""
        if self.ends or self.pod.status.start_time is not None or is_terminal(self.pod):
            return
        name = f"devices of pod {self.pod.metadata.name}"
        task = self._lanes[START] = asyncio.create_task(self._agent.devices.admit(self.pod), name=name)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            del self._lanes[START]
        if task.cancelled():  # the pod is to end
            return
        if isinstance(error := task.exception(), Refused):
            message = f"Allocate failed due to {error}, which is unexpected"
            self.end(Ending("UnexpectedAdmissionError", message, rejected=True))
            self._agent.recorder.warning(self.pod, "UnexpectedAdmissionError", message)
        else:
            task.result()

    async def _step(self) -> float | None:
        """Seconds after which to look again in any case; None: it is over."""
        agent, now = self._agent, self._agent.clock.now()
        ended = self._ended
        self.observed = observed = await self._look()
        self._looked.set_result(None)
        self._looked = asyncio.get_running_loop().create_future()
        if ended != self._ended:
            return 0.0  # what was done meanwhile may not be in the picture: look again before acting on it
        if is_static(self.pod) and self.mirror is None and self.pod.metadata.deletion_timestamp is None:
            self.mirror = await agent.roster.mirrors.create(self.pod)
        pod = self._publish(observed)
        agent.probes.follow(pod, observed, self._proven)
        actions = decide(pod, observed, now)
        if actions == [RemovePod()]:
            if self._lanes:
                return LOOK_AGAIN
            await self._remove(pod, observed)
            return None
        self._tell(pod, observed)
        self._begin(pod, observed, actions)
        return min((max(0.05, each.seconds) for each in actions if isinstance(each, Wait)), default=LOOK_AGAIN)

    def _publish(self, observed: Observed) -> Pod:
        """The pod as the rest of this step sees it."""
        agent = self._agent
        if self.gone:
            return replace_meta(self.pod, deletion_timestamp=agent.clock.now(), deletion_grace_period_seconds=0)
        if self._publisher.pod is not None and not is_static(self.pod):
            self.api_pod = newer(self.api_pod, self._publisher.pod)
            self.pod = overlaid(self.api_pod, self.pod.status)
        status = pod_status(self.pod, observed, agent.clock.now(), agent.host_ips, agent.scheme)
        self.pod = overlaid(self.api_pod, status)
        shown = self.mirror if is_static(self.pod) else self.api_pod
        if shown is not None:
            self._publisher.publish(shown, status)
        return self.pod

    async def _look(self) -> Observed:
        agent, pod = self._agent, self.pod
        attachment = agent.network.attachment(pod.metadata.uid)
        sandboxes = tuple(await agent.runtime.sandboxes(pod.metadata.uid))
        listed = await agent.runtime.containers(pod.metadata.uid)
        newest = max((each for each in sandboxes if each.ready), key=lambda each: each.attempt, default=None)
        containers = (*(agent.with_message(pod, each) for each in listed), *lost(pod, listed, newest))
        if not self.ending and not is_terminal(pod):
            self._resizer.consider(pod, containers)
        to_update, to_restart = self._resizer.pending(pod, containers)
        hooking = frozenset(self._starter.hooking)
        return Observed(
            sandboxes=sandboxes,
            containers=containers,
            ips=attachment.ips if attachment is not None else (),
            started=agent.probes.started(pod, containers, self._proven) - hooking,
            ready=agent.probes.ready(pod, containers, self._proven),
            unhealthy=agent.probes.unhealthy(containers),
            problems=self._starter.problems.current(),
            delays=dict(self._starter.delays),
            hooking=hooking,
            to_update=to_update,
            to_restart=to_restart,
            allocated=self._resizer.allocated,
            actual=dict(self._resizer.actual),
            whole=self._resizer.whole,
            resize=self._resizer.conditions(pod, containers),
            ending=self.ending,
            gone_by=self._gone_by,
            recursive_read_only=agent.recursive_read_only,
            devices=agent.devices.health(pod),
            renewed=renewed(pod, containers),
            followed=frozenset(self._followed),
        )

    def _tell(self, pod: Pod, observed: Observed) -> None:
        """Events about what the pod waits for or dies of, each once."""
        now = self._agent.clock.now()
        if overdue(pod, now) and "deadline" not in self._told and pod.metadata.deletion_timestamp is None:
            self._told.add("deadline")
            self._agent.recorder.normal(pod, "DeadlineExceeded", TOO_LONG)
        if is_over(pod, observed, now):
            return
        for wanted in containers_of(pod):
            latest = observed.latest(wanted.name)
            if latest is None or latest.id in self._told or latest.state is not State.EXITED:
                continue
            if runs_again(pod, wanted, latest, observed) and wait_left(latest, observed, now) > 0:
                self._told.add(latest.id)
                meta = pod.metadata
                where = f"{wanted.name} in pod {meta.name}_{meta.namespace}({meta.uid})"
                self._agent.event(pod, wanted, "BackOff", f"Back-off restarting failed container {where}")

    def _begin(self, pod: Pod, observed: Observed, actions: Sequence[Action]) -> None:
        """Each act in its lane, unless that is still busy; what ends the pod breaks off what starts it."""
        starts: list[Action] = []
        for action in actions:
            if isinstance(action, Terminate | StopSandbox):
                if START in self._lanes:
                    self._lanes[START].cancel()
                else:
                    self._run(END, pod, observed, (action,))
            elif isinstance(action, Kill | UpdateResources):
                self._run(action.container, pod, observed, (action,))
            elif not isinstance(action, Wait | RemovePod):
                starts.append(action)
        if starts and END not in self._lanes:
            self._run(START, pod, observed, starts)

    def _run(self, lane: str, pod: Pod, observed: Observed, actions: Sequence[Action]) -> None:
        if lane in self._lanes:
            return

        async def work() -> None:
            try:
                for action in actions:
                    await self._act(pod, observed, action)
            except (RuntimeFault, ApiError, OSError) as error:
                log.warning("pod %s/%s: %s", pod.metadata.namespace, pod.metadata.name, error)
                await self._agent.clock.sleep(FAULT_RETRY)

        def over(task: asyncio.Task[None]) -> None:  # also of a task that was cancelled before it began
            del self._lanes[lane]
            self._ended += 1
            self.wake()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("pod %s/%s", pod.metadata.namespace, pod.metadata.name, exc_info=error)

        task = self._lanes[lane] = asyncio.create_task(work(), name=f"{lane} of pod {pod.metadata.name}")
        task.add_done_callback(over)

    async def _act(self, pod: Pod, observed: Observed, action: Action) -> None:
        agent, runtime = self._agent, self._agent.runtime
        if isinstance(action, StartSandbox):
            await self._starter.sandbox(pod, action, observed)
        elif isinstance(action, AttachNetwork):
            await self._starter.network(pod, action.sandbox)
        elif isinstance(action, StartContainer):
            await self._starter.container(pod, action, observed)
            self.wake()
        elif isinstance(action, UpdateResources):
            await self._resizer.update(pod, next(c for c in observed.containers if c.id == action.container))
        elif isinstance(action, Kill):
            if action.followed:
                self._followed.add(action.container)
            await self._stopper.kill(pod, action)
        elif isinstance(action, Terminate):
            await self._stopper.terminate(pod, action)
        elif isinstance(action, StopSandbox):
            await agent.network.detach(pod.metadata.uid)
            await runtime.stop_sandbox(action.sandbox)
            await agent.release(pod)
        elif isinstance(action, Discard):
            await runtime.remove_container(action.container)
        elif isinstance(action, DiscardSandbox):
            await runtime.remove_sandbox(action.sandbox)

    async def _remove(self, pod: Pod, observed: Observed) -> None:
        """The object goes last, when the node has forgotten the pod."""
        agent = self._agent
        await agent.network.detach(pod.metadata.uid)
        for sandbox in observed.sandboxes:
            await agent.runtime.remove_sandbox(sandbox.id)
        await agent.forget(pod)
        self.leaving = True
        if not self.gone:
            await self._publisher.flush()
            shown = self.mirror if is_static(pod) else pod
            if shown is not None:
                await agent.delete(shown)


def _proven(pod: Pod) -> dict[str, bool]:
    """Containers that an earlier agent saw started, and whether they were ready: that holds until a probe says
    otherwise, so that a restarted agent does not make its pods unready."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return {each.container_id.rpartition("://")[2]: each.ready for each in statuses if each.started}
