"""One pod's life on this node: looks, publishes the status, decides, acts, waits for the next reason to look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod
from minikube.errors import ApiError
from minikube.node.decide import (
    Action,
    Kill,
    KillAll,
    Observed,
    Problem,
    RemovePod,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Wait,
    backoff_left,
    containers_of,
    decide,
    restarts,
)
from minikube.node.network.base import AddressesExhausted
from minikube.node.runtime.base import CreateFailed, Image, ImagePullFailed, RuntimeFault, State
from minikube.node.spec import ConfigProblem, container_spec, host_ports, sandbox_spec
from minikube.node.status import pod_status

if TYPE_CHECKING:
    from minikube.node.agent import Agent

log = logging.getLogger(__name__)

RETRY_BASE, RETRY_LIMIT = 10.0, 300.0
LOOK_AGAIN = 60.0


class PodWorker:
    """`pod` is the newest object; `gone` says that the object no longer exists in the API."""

    def __init__(self, agent: Agent, pod: Pod) -> None:
        self._agent = agent
        self.pod = pod
        self.gone = False
        self.observed = Observed()
        self.evicted = ""
        self._wake = asyncio.Event()
        self._problems: dict[str, Problem] = {}
        self._failures: dict[str, int] = {}
        self._acting: asyncio.Task[None] | None = None
        self._stopping: set[str] = set()
        self._told: set[str] = set()

    def update(self, pod: Pod) -> None:
        """A newer object; a shorter grace interrupts a running stop."""
        old, self.pod = self.pod, pod
        if pod.metadata.deletion_timestamp != old.metadata.deletion_timestamp:
            self._interrupt()
        self.wake()

    def removed(self) -> None:
        """The object was deleted from the API: stop without grace, report nothing more."""
        self.gone = True
        self._interrupt()
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    def _interrupt(self) -> None:
        if self._acting is not None:
            self._acting.cancel()

    async def run(self) -> None:
        """Until the pod is gone from node and API."""
        while True:
            self._wake.clear()
            try:
                if await self._step():
                    return
                timeout = self._timeout
            except (RuntimeFault, ApiError, OSError) as error:
                log.warning("pod %s/%s: %s", self.pod.metadata.namespace, self.pod.metadata.name, error)
                timeout = 1.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)

    async def _step(self) -> bool:
        agent, now = self._agent, self._agent.clock.now()
        self._timeout = LOOK_AGAIN
        self.observed = observed = await self._look()
        pod = self._effective()
        agent.probe(pod, observed)
        if not self.gone:
            status = pod_status(self.pod, observed, now, agent.host_ips, agent.scheme)
            self.pod = await agent.publish(self.pod, status)
            pod = self._effective()
        for action in decide(pod, observed, now):
            if isinstance(action, Wait):
                self._tell_backing_off(pod)
                self._timeout = min(self._timeout, max(0.05, action.seconds))
            elif isinstance(action, RemovePod):
                await self._remove()
                return True
            else:
                self._acting = asyncio.create_task(self._act(pod, action))
                try:
                    await self._acting
                except asyncio.CancelledError:
                    current = asyncio.current_task()
                    if current is not None and current.cancelling():
                        raise
                finally:
                    self._acting = None
                self._wake.set()
        return False

    def _tell_backing_off(self, pod: Pod) -> None:
        for wanted in containers_of(pod):
            latest = self.observed.latest(wanted.name)
            if latest is None or latest.id in self._told or latest.state is not State.EXITED:
                continue
            if restarts(pod, wanted, latest) and backoff_left(latest, self._agent.clock.now()) > 0:
                self._told.add(latest.id)
                meta = pod.metadata
                where = f"{wanted.name} in pod {meta.name}_{meta.namespace}({meta.uid})"
                self._agent.event(pod, wanted, "BackOff", f"Back-off restarting failed container {where}")

    def _effective(self) -> Pod:
        if not self.gone:
            return self.pod
        from minikube.api.meta import replace_meta

        return replace_meta(self.pod, deletion_timestamp=self._agent.clock.now(), deletion_grace_period_seconds=0)

    async def _look(self) -> Observed:
        agent, uid = self._agent, self.pod.metadata.uid
        attachment = agent.network.attachment(uid)
        containers = tuple(await agent.runtime.containers(uid))
        return Observed(
            sandboxes=tuple(await agent.runtime.sandboxes(uid)),
            containers=tuple(agent.with_message(self.pod, each) for each in containers),
            ips=attachment.ips if attachment is not None else (),
            started=agent.started(self.pod, containers),
            ready=agent.ready(self.pod, containers),
            unhealthy=agent.unhealthy(containers),
            problems=dict(self._problems),
            evicted=self.evicted,
        )

    async def _act(self, pod: Pod, action: Action) -> None:
        if isinstance(action, StartSandbox):
            await self._start_sandbox(pod, action)
        elif isinstance(action, StartContainer):
            await self._start_container(pod, action)
        elif isinstance(action, Kill):
            await self._kill(pod, action)
        elif isinstance(action, KillAll):
            await asyncio.gather(*(self._kill(pod, each) for each in action.kills))
        elif isinstance(action, StopSandbox):
            await self._agent.network.detach(pod.metadata.uid)
            await self._agent.runtime.stop_sandbox(action.sandbox)

    async def _start_sandbox(self, pod: Pod, action: StartSandbox) -> None:
        agent = self._agent
        try:
            async with agent.starting:
                await agent.prepare(pod)
                spec = sandbox_spec(pod, action.attempt, agent.settings, agent.host_dns)
                sandbox = await agent.runtime.run_sandbox(spec)
                if not pod.spec.host_network:
                    found = await agent.runtime.sandbox(sandbox)
                    try:
                        await agent.network.attach(pod.metadata.uid, found.netns, ports=host_ports(pod))
                    except (AddressesExhausted, OSError) as error:
                        await agent.runtime.remove_sandbox(sandbox)
                        raise CreateFailed(f"failed to set up network for sandbox: {error}") from error
                self._solved("")
        except ConfigProblem as error:
            agent.recorder.warning(pod, "FailedMount", str(error))
            self._failed("", "ContainerCreating", "", base=1.0)
        except RuntimeFault as error:
            agent.recorder.warning(pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error.message}")
            self._failed("", "ContainerCreating", "", base=1.0)

    async def _start_container(self, pod: Pod, action: StartContainer) -> None:
        agent, name = self._agent, action.name
        wanted = next(each for each in containers_of(pod) if each.name == name)
        sandbox = self.observed.sandbox
        if sandbox is None:
            return
        try:
            async with agent.starting:
                image = await self._image(pod, wanted)
                env, mounts = await agent.inputs(pod, wanted, action.attempt, self.observed.ips)
                spec = container_spec(
                    pod,
                    wanted,
                    action.attempt,
                    image=image.id,
                    image_user=image.user,
                    env=env,
                    mounts=mounts,
                    memory_capacity=agent.memory_capacity,
                )
                container = await agent.runtime.create_container(sandbox.id, spec)
                agent.event(pod, wanted, "Created", f"Container created: {name}")
                try:
                    await agent.runtime.start_container(container)
                except RuntimeFault as error:
                    self._failed(name, "RunContainerError", error.message)
                    agent.event(pod, wanted, "Failed", f"Error: {error.message}")
                    return
            agent.event(pod, wanted, "Started", f"Container started: {name}")
            self._solved(name)
            await self._discard(name, action.attempt)
            await agent.post_start(pod, wanted, container)
        except ConfigProblem as error:
            self._failed(name, "CreateContainerConfigError", str(error))
            agent.event(pod, wanted, "Failed", f"Error: {error}")
        except ImagePullFailed:
            pass
        except CreateFailed as error:
            self._failed(name, "CreateContainerError", error.message)
            agent.event(pod, wanted, "Failed", f"Error: {error.message}")

    async def _image(self, pod: Pod, wanted: Wanted) -> Image:
        """By pull policy. Raises ImagePullFailed when a pull failed or backs off; the problem is noted."""
        agent, reference, name = self._agent, wanted.image, wanted.name
        found = await agent.runtime.image(reference)
        policy = wanted.image_pull_policy or "IfNotPresent"
        if found is not None and policy != "Always":
            agent.event(pod, wanted, "Pulled", f'Container image "{reference}" already present on machine')
            return found
        if policy == "Never":
            text = f'Container image "{reference}" is not present with pull policy of Never'
            self._failed(name, "ErrImageNeverPull", text)
            agent.event(pod, wanted, "ErrImageNeverPull", text)
            raise ImagePullFailed(text)
        agent.event(pod, wanted, "Pulling", f'Pulling image "{reference}"')
        begun = agent.clock.monotonic()
        try:
            image = await agent.pull(pod, reference)
        except ImagePullFailed as error:
            agent.event(pod, wanted, "Failed", f'Failed to pull image "{reference}": {error.message}')
            agent.event(pod, wanted, "Failed", "Error: ErrImagePull")
            self._failed(name, "ErrImagePull", error.message)
            raise
        took = agent.clock.monotonic() - begun
        agent.event(
            pod,
            wanted,
            "Pulled",
            f'Successfully pulled image "{reference}" in {took:.3f}s ({took:.3f}s including waiting). '
            f"Image size: {image.size} bytes.",
        )
        return image

    async def _discard(self, name: str, attempt: int) -> None:
        """Keep one finished attempt for `logs --previous` and lastState."""
        for each in self.observed.containers:
            if each.name == name and each.attempt < attempt - 1 and each.state is State.EXITED:
                await self._agent.runtime.remove_container(each.id)

    async def _kill(self, pod: Pod, kill: Kill) -> None:
        agent = self._agent
        wanted = next((each for each in containers_of(pod) if each.name == kill.name), None)
        if wanted is not None and kill.container not in self._stopping:
            self._stopping.add(kill.container)
            text = (
                f"Container {kill.name} {kill.why}, will be restarted"
                if kill.why
                else f"Stopping container {kill.name}"
            )
            agent.event(pod, wanted, "Killing", text)
        grace = kill.grace
        if (
            wanted is not None
            and grace > 0
            and wanted.lifecycle is not None
            and wanted.lifecycle.pre_stop is not None
        ):
            begun = agent.clock.monotonic()
            try:
                await asyncio.wait_for(agent.hook(pod, wanted, kill.container, wanted.lifecycle.pre_stop), grace)
            except TimeoutError:
                pass
            except RuntimeFault as error:
                agent.event(pod, wanted, "FailedPreStopHook", f"PreStopHook failed: {error.message}")
            grace = max(2.0, grace - (agent.clock.monotonic() - begun))
        await agent.runtime.stop_container(kill.container, grace=grace)

    async def _remove(self) -> None:
        agent, uid = self._agent, self.pod.metadata.uid
        await agent.network.detach(uid)
        for sandbox in self.observed.sandboxes:
            await agent.runtime.remove_sandbox(sandbox.id)
        await agent.forget(self.pod)
        if not self.gone:
            await agent.delete(self.pod)

    def _failed(self, name: str, reason: str, message: str, base: float = RETRY_BASE) -> None:
        failures = self._failures.get(name, 0)
        self._failures[name] = failures + 1
        delay = min(RETRY_LIMIT, base * 2.0 ** min(failures, 10))
        self._problems[name] = Problem(reason, message, self._agent.clock.now() + timedelta(seconds=delay))
        asyncio.get_running_loop().call_later(1.0, self._back_off, name)

    def _back_off(self, name: str) -> None:
        """A failed pull shows ErrImagePull first, then ImagePullBackOff while it waits."""
        problem = self._problems.get(name)
        if problem is None or problem.reason != "ErrImagePull" or self.gone:
            return
        wanted = next((each for each in containers_of(self.pod) if each.name == name), None)
        if wanted is None:
            return
        text = f'Back-off pulling image "{wanted.image}"'
        self._problems[name] = Problem(
            "ImagePullBackOff", f"{text}: ErrImagePull: {problem.message}", problem.retry_at
        )
        self._agent.event(self.pod, wanted, "BackOff", text)
        self.wake()

    def _solved(self, name: str) -> None:
        self._problems.pop(name, None)
        self._failures.pop(name, None)
