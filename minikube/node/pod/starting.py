"""Brings up a pod's sandbox and containers, one step of `decide` at a time, and tells what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from minikube.api.core_v1 import Container, Pod
from minikube.node.container.resolver import resolver_of
from minikube.node.container.spec import ConfigProblem, Given, Host, container_spec, host_ports, sandbox_spec
from minikube.node.network.base import AddressesExhausted
from minikube.node.pod.decide import Kill, StartContainer, StartSandbox
from minikube.node.pod.hooks import HookFailed
from minikube.node.pod.image_volumes import mount_images
from minikube.node.pod.observed import Observed
from minikube.node.pod.pods import (
    IMAGES_ANNOTATION,
    container_named,
    containers_of,
    grace_of,
    hash_of,
    is_ephemeral,
)
from minikube.node.pod.problems import Problems
from minikube.node.pod.pulling import NoImage, image_of
from minikube.node.pod.resize import with_allocation
from minikube.node.pod.restarts import next_delay
from minikube.node.pod.stopping import Stopper
from minikube.node.runtime.base import CreateFailed, State

if TYPE_CHECKING:
    from minikube.node.agent import Agent

R = TypeVar("R")
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."
START, CONTAINER, SANDBOX = range(3)
"""Who goes first when many pods start: what has begun is brought to its end before something new begins."""


class Starter:
    """Of one pod. Unavailable and other faults of the runtime itself pass through: look and decide again."""

    def __init__(self, agent: Agent, stopper: Stopper) -> None:
        self._agent, self._stopper = agent, stopper
        self.problems = Problems(agent.clock)
        self.delays: dict[str, float] = {}
        self.hooking: set[str] = set()
        """Ids of containers whose postStart runs: not yet Running in the eyes of the API."""

    def changed(self, old: Pod, new: Pod) -> None:
        """Try everything again now; a container that is another one now has not crashed yet."""
        self.problems.clear()
        before = {each.name: hash_of(each) for each in containers_of(old)}
        for each in containers_of(new):
            if before.get(each.name) != hash_of(each):
                self.delays.pop(each.name, None)
                self.problems.solved(each.name)

    async def sandbox(self, pod: Pod, action: StartSandbox, observed: Observed) -> None:
        agent = self._agent
        try:
            if observed.sandboxes:
                agent.recorder.normal(pod, "SandboxChanged", SANDBOX_CHANGED)
            await agent.prepare(pod)
            for old in observed.sandboxes:  # frees names and addresses of what died
                await agent.runtime.stop_sandbox(old.id)
            if observed.sandboxes:
                await agent.network.detach(pod.metadata.uid)
            handler, first_user = agent.handler_of(pod), await agent.first_user(pod)
            spec = sandbox_spec(pod, action.attempt, agent.settings, agent.host_dns, handler, first_user)
            for problem in resolver_of(pod, agent.settings, agent.host_dns).problems:
                agent.recorder.warning(pod, "DNSConfigForming", problem)
            async with agent.starting.enter(SANDBOX):
                sandbox = await _whole(agent.runtime.run_sandbox(spec))
            await self.network(pod, sandbox)
            self.problems.solved("")
        except ConfigProblem as error:
            agent.recorder.warning(pod, error.reason or "FailedMount", str(error))
            self.problems.sandbox_failed()
        except CreateFailed as error:
            agent.recorder.warning(pod, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error.message}")
            self.problems.sandbox_failed()

    async def network(self, pod: Pod, sandbox: str) -> None:
        """Raises CreateFailed after having removed the sandbox that could not be wired."""
        if pod.spec.host_network:
            return
        agent = self._agent
        found = await agent.runtime.sandbox(sandbox)
        try:
            await _whole(agent.network.attach(pod.metadata.uid, found.netns, ports=host_ports(pod)))
        except (AddressesExhausted, OSError) as error:
            await agent.runtime.remove_sandbox(sandbox)
            raise CreateFailed(f"failed to set up network for sandbox: {error}") from error

    async def container(self, pod: Pod, action: StartContainer, observed: Observed) -> None:
        wanted, sandbox = container_named(pod, action.name), observed.sandbox
        if wanted is None or sandbox is None:
            return
        agent, problems = self._agent, self.problems
        try:
            await agent.regroup(with_allocation(pod, observed.allocated))
            identifier = await self._created(pod, wanted, action, observed, sandbox.id)
            started = await self._started(pod, wanted, identifier)
        except ConfigProblem as error:
            problems.failed(wanted.name, error.reason or "CreateContainerConfigError", str(error))
            agent.event(pod, wanted, "Failed", f"Error: {error}")
            return
        except CreateFailed as error:
            problems.failed(wanted.name, "CreateContainerError", error.message)
            agent.event(pod, wanted, "Failed", f"Error: {error.message}")
            return
        except NoImage:
            return
        finally:
            self._count(wanted.name, observed)
        if started:
            problems.solved(wanted.name)
            await self._discard(observed, action)
            await self._post_start(pod, wanted, identifier)

    def _count(self, name: str, observed: Observed) -> None:
        """One more restart after an end: the next one waits longer."""
        latest = observed.latest(name)
        if latest is not None and latest.id in observed.followed and observed.previous(name) is None:
            return  # the first that we ended ourselves is no crash
        if latest is not None and latest.state is State.EXITED:
            self.delays[name] = next_delay(self.delays.get(name, 0.0), latest, self._agent.longest_back_off)

    async def _created(
        self, pod: Pod, wanted: Container, action: StartContainer, observed: Observed, sandbox: str
    ) -> str:
        agent = self._agent
        image = await image_of(agent, pod, wanted, self.problems)
        shown = await mount_images(agent, pod, wanted, self.problems)
        env, mounts = await agent.inputs(pod, wanted, action.attempt, observed.ips)
        gear = await agent.gear(pod, wanted)
        images = {IMAGES_ANNOTATION: msgspec.json.encode(shown).decode()} if shown else {}
        host = Host(
            memory=agent.memory_capacity,
            page_sizes=agent.page_sizes,
            seccomp_root=str(agent.settings.agent_dir / "seccomp"),
            confine=agent.settings.seccomp_default,
            unified=agent.container_settings(),
        )
        given = Given(
            image=image,
            env=(*gear.env, *env),
            mounts=(*gear.mounts, *mounts),
            devices=(*gear.nodes, *agent.block_devices(pod, wanted)),
            cdi_devices=gear.cdi,
            annotations={**gear.annotations, **images},
            resources=observed.allocated.get(wanted.name, wanted.resources),
            target=_target(pod, wanted.name, observed) if is_ephemeral(pod, wanted.name) else "",
            first_user=await agent.first_user(pod),
        )
        spec = container_spec(pod, wanted, action.attempt, host, given)
        async with agent.starting.enter(CONTAINER):
            identifier = await _whole(agent.runtime.create_container(sandbox, spec))
        agent.event(pod, wanted, "Created", "Container created")
        return identifier

    async def _started(self, pod: Pod, wanted: Container, identifier: str) -> bool:
        agent = self._agent
        if wanted.lifecycle is not None and wanted.lifecycle.post_start is not None:
            self.hooking.add(identifier)
        try:
            async with agent.starting.enter(START):
                await _whole(agent.runtime.start_container(identifier))
        except CreateFailed as error:
            self.hooking.discard(identifier)
            self.problems.failed(wanted.name, "RunContainerError", error.message, after=None)
            agent.event(pod, wanted, "Failed", f"Error: {error.message}")
            return False
        agent.event(pod, wanted, "Started", "Container started")
        return True

    async def _discard(self, observed: Observed, action: StartContainer) -> None:
        """Keep one finished attempt for `logs --previous` and lastState."""
        for each in observed.containers:
            if each.name == action.name and each.attempt < action.attempt - 1 and each.state is State.EXITED:
                await self._agent.runtime.remove_container(each.id)

    async def _post_start(self, pod: Pod, wanted: Container, identifier: str) -> None:
        """A failed hook ends the container, as gracefully as any; its restart policy says what then."""
        handler = wanted.lifecycle.post_start if wanted.lifecycle is not None else None
        if handler is None:
            return
        agent = self._agent
        try:
            await agent.hook(pod, wanted, identifier, handler)
        except HookFailed as error:
            agent.event(pod, wanted, "FailedPostStartHook", f"PostStartHook failed: {error}")
            self.problems.failed(wanted.name, "PostStartHookError", str(error), after=None)
            await self._stopper.kill(pod, Kill(identifier, wanted.name, grace_of(pod), "FailedPostStartHook"))
        finally:
            self.hooking.discard(identifier)


def _target(pod: Pod, name: str, observed: Observed) -> str:
    """The running container whose processes an ephemeral one sees. Raises ConfigProblem."""
    wanted = next(each.target_container_name for each in pod.spec.ephemeral_containers if each.name == name)
    if not wanted:
        return ""
    found = observed.latest(wanted)
    if found is None or found.state is not State.RUNNING:
        raise ConfigProblem(f'unable to find target container "{wanted}"')
    return found.id


async def _whole(call: Coroutine[Any, Any, R]) -> R:
    """Let a call to the runtime end even when we are cancelled: half-made things would be found later only."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
