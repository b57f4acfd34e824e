"""The agent: follows the pods that are bound to this node and runs one worker for each; registers the node."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import LifecycleHandler, Node, Pod, Volume
from minikube.api.node_v1 import RuntimeClass
from minikube.client.base import Client, Informers
from minikube.client.events import EventRecorder
from minikube.errors import Conflict, NotFound, ServiceUnavailable
from minikube.kit.clock import Clock
from minikube.kit.gate import Gate
from minikube.kit.tasks import guard
from minikube.node import node_events
from minikube.node.container import resolver, sysctls
from minikube.node.container.inputs import Inputs
from minikube.node.container.spec import log_directory
from minikube.node.devices.base import Gear, Refused
from minikube.node.devices.devices import Devices, Fate
from minikube.node.devices.serving import serve
from minikube.node.host.pod_groups import PodGroups
from minikube.node.host.user_ranges import RangesExhausted, UserRanges
from minikube.node.network.base import PodNetwork
from minikube.node.pod.admit import Abilities, apparmor_enabled
from minikube.node.pod.hooks import run_hook
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import field_of, is_terminal
from minikube.node.pod.problems import ConfigProblem
from minikube.node.pod.restarts import BACKOFF_LIMIT
from minikube.node.pod.worker import PodWorker
from minikube.node.probes.pods import PodProbes
from minikube.node.registration import Registration
from minikube.node.reporting import Reporting
from minikube.node.roster import Roster
from minikube.node.runtime.base import (
    Container,
    Device,
    Image,
    Mount,
    Runtime,
    RuntimeFault,
    RuntimeInfo,
    State,
)
from minikube.node.runtime.pull_records import PullRecords
from minikube.node.runtime.pulls import pull
from minikube.node.runtime.registries import Registries
from minikube.node.shutdown import GracefulShutdown
from minikube.node.upkeep.eviction import refused
from minikube.node.upkeep.housekeeping import Housekeeping
from minikube.node.upkeep.thresholds import parse_duration
from minikube.node.volumes.usage import Measures, Usage
from minikube.settings import Settings, SettingsError

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Sandboxes and containers started at the same time: more only makes each slower."""


def abilities(settings: Settings) -> Abilities:
    """Raises SettingsError."""
    allowed = settings.allowed_unsafe_sysctls
    if why := next(filter(None, map(sysctls.problem, allowed)), ""):
        raise SettingsError(f"setting allowed_unsafe_sysctls: {why}")
    return Abilities(settings.simulate or apparmor_enabled(), allowed)


def longest_back_off(settings: Settings) -> float:
    """Seconds. Raises SettingsError."""
    try:
        found = parse_duration(settings.max_container_restart_period)
    except ValueError as error:
        raise SettingsError(f"setting max_container_restart_period: {error}") from error
    if not 1 <= found <= BACKOFF_LIMIT:
        raise SettingsError(f"setting max_container_restart_period: between 1s and {BACKOFF_LIMIT:g}s is expected")
    return found


def remove_logs(root: Path, uids: Collection[str]) -> None:
    """Of these pods; other directories there may be another Kubernetes'. Blocks."""
    for uid in uids:
        for directory in root.glob(f"*_*_{uid}"):
            shutil.rmtree(directory, ignore_errors=True)


def pods_on_disk(settings: Settings) -> frozenset[str]:
    """The uids of all pods that this node has made a directory for. Blocks."""
    return frozenset(each.name for each in settings.pods_dir.glob("*"))


WARNINGS = ("BackOff", "ErrImageNeverPull", "InspectFailed", "ProbeWarning", "Unhealthy")


class Agent:
    """Everything of one node."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        runtime: Runtime,
        network: PodNetwork,
        recorder: EventRecorder,
        settings: Settings,
        clock: Clock,
        node_name: str,
        node_ips: Sequence[str],
        *,
        kept_images: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self.client, self.runtime, self.network = client, runtime, network
        self.recorder, self.settings, self.clock = recorder, settings, clock
        self.node_name, self.host_ips = node_name, tuple(node_ips)
        self.scheme = runtime.scheme
        self.simulated = self.scheme == "simulated"
        self.starting = Gate(AT_ONCE if not self.simulated else 1000)
        self.host_dns = resolver.own(settings.resolv_conf) if not self.simulated else {}
        self.shutting_down = False
        """The machine goes down: no more pods."""
        self.roster = Roster(self, informers)
        self._nodes = informers.of(Node, fields=f"metadata.name={node_name}")
        self._runtime_classes = informers.of(RuntimeClass)
        self._registration = Registration(client, settings, clock, node_name, node_ips)
        self.memory_capacity = self._registration.machine.memory
        self.page_sizes = tuple(self._registration.machine.huge_pages)
        self._inputs = Inputs(
            client,
            informers,
            settings,
            node_name,
            self.host_ips,
            recorder=recorder,
            clock=clock,
            wake=self._inputs_changed,
        )
        self.probes = PodProbes(runtime, clock, self.host_ips, self._probed, simulated=self.simulated)
        self.devices = Devices(
            settings, clock, changed=lambda: self.reporting.soon(), wake=self._wake_uid, fate=self._fate
        )
        self._groups = PodGroups(settings, self.page_sizes)
        self._registries, self._pull_records = Registries.load(settings), PullRecords(settings)
        self.longest_back_off = longest_back_off(settings)
        self.abilities = abilities(settings)
        self._users = UserRanges(settings.pods_dir, settings.max_pods)
        self._runtime_info: RuntimeInfo | None = None
        self._housekeeping = Housekeeping(self, kept_images)
        self._shutdown = GracefulShutdown(self)
        self.reporting = Reporting(self, self._registration)

    async def run(self) -> None:
        """Until cancelled; containers go on running, unless pods are to end with us."""
        running = asyncio.create_task(self._run(), name="agent")
        try:
            await asyncio.shield(running)
        finally:
            if self._shutdown.at_stop and not running.done():
                await self._shutdown.end_pods()
            running.cancel()
            await asyncio.wait([running])

    async def _run(self) -> None:
        try:
            await self._registration.register()
        except ServiceUnavailable as error:  # `reporting` registers as soon as a server answers
            log.warning("%s; pods run on with what this node last knew", error.message)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._registration.heartbeat(), name="node lease")
            group.create_task(guard("node status", self.reporting.run), name="node status")
            group.create_task(guard("runtime events", self._follow_runtime), name="runtime events")
            if not self.simulated:
                group.create_task(guard("volumes", self._inputs.run), name="volumes")
                group.create_task(guard("housekeeping", self._housekeeping.run), name="housekeeping")
                group.create_task(guard("kernel log", self.reporting.follow_kernel), name="kernel log")
                group.create_task(guard("device plugins", self._serve_devices), name="device plugins")
            group.create_task(guard("shutdown", self._shutdown.run), name="shutdown of the machine")
            group.create_task(guard("pods", self._follow_pods), name="pods of the node")

    async def _follow_pods(self) -> None:
        try:
            await self._make_way()
        except Exception as error:
            self.reporting.cannot_run_pods(f"pods cannot be run: {error}")
            raise
        self.reporting.cannot_run_pods("")
        await self.roster.run()

    async def _make_way(self) -> None:
        """What must be there before a pod may run, and what is left of those that ended while we did not run."""
        await self._start_network()
        await self._runtime_classes.wait_synced()
        known = await self.roster.known()
        await self.roster.remove_orphans(known)
        await self.network.keep_only(known)
        gone = await asyncio.to_thread(pods_on_disk, self.settings) - known
        await self._inputs.keep_only(known)
        await self.devices.keep_only(known)
        if not self.simulated:
            await asyncio.to_thread(self._groups.start, *self._registration.for_pods())
            self.reporting.tell(self.node(), node_events.ENFORCED)
            await asyncio.to_thread(self._groups.keep_only, known)
            await self.runtime.drop_image_trees(known)
            await asyncio.to_thread(remove_logs, Path(self.settings.pod_logs_dir), gone)

    @property
    def workers(self) -> Mapping[str, PodWorker]:
        """By the uid of their pods."""
        return self.roster.workers

    def living(self, besides: str = "") -> Sequence[Pod]:
        return self.roster.living(besides)

    @property
    def conditions(self) -> frozenset[str]:
        """The pressure that the node is under."""
        return self._housekeeping.conditions

    def under_pressure(self, pod: Pod) -> Ending | None:
        """Why the node is too short of something to take this pod."""
        return refused(pod, self.conditions)

    async def _serve_devices(self) -> None:
        await serve(self.devices, self.settings, self.living)

    def _wake_uid(self, uid: str) -> None:
        if (worker := self.workers.get(uid)) is not None:
            worker.wake()

    def _fate(self, uid: str) -> Fate:
        worker = self.workers.get(uid)
        if worker is not None and is_terminal(worker.pod) and not worker.observed.running:
            return Fate.OVER
        return Fate.STAYS if worker is not None and not worker.ends else Fate.ENDS

    def _inputs_changed(self, uid: str) -> None:
        """What a pod's volumes wait for may be there now."""
        if (worker := self.workers.get(uid)) is not None:
            worker.retry()

    def node(self) -> Node | None:
        """This node as the API has it."""
        return self._nodes.lister.get(self.node_name)

    async def regroup(self, pod: Pod) -> None:
        """Set the limits of the pod's control group anew."""
        if not self.simulated:
            await asyncio.to_thread(self._groups.limit, pod, self._mine())

    def container_settings(self) -> Mapping[str, str]:
        """Of every container's control group, beside what its resources say."""
        return {} if self.simulated else self._groups.cgroups.container_settings()

    async def _follow_runtime(self) -> None:
        async for event in self.runtime.events():
            if event.pod_uid:
                if (worker := self.workers.get(event.pod_uid)) is not None:
                    worker.wake()
            else:
                self.roster.wake_all()

    async def _start_network(self) -> None:
        await self._nodes.wait_synced()  # without a server: what this node last knew of itself
        while (node := self.node()) is None or not node.spec.pod_cidr:
            await self.clock.sleep(0.5)
        await self.network.start(node.spec.pod_cidr)

    def runtime_is(self, info: RuntimeInfo) -> None:
        """What the runtime says of itself."""
        self._runtime_info = info
        self._inputs.runtime_is(info)

    async def volume_usage(self, pod: Pod) -> Mapping[str, Usage]:
        """What each volume of the pod holds, by its name."""
        return await self._inputs.usage(pod)

    async def volume_measures(self, pod: Pod) -> Mapping[str, Measures]:
        """What each volume holds and the file system that it is on, by its name."""
        return await self._inputs.volume_measures(pod) if not self.simulated else {}

    def place_of(self, pod: Pod, volume: Volume) -> Path:
        """Where a volume that is set up is on this machine."""
        return self._inputs.place_of(pod, volume)

    def _mine(self) -> Sequence[Pod]:
        return [worker.pod for worker in self.workers.values()]

    # What workers ask for.

    def event(self, pod: Pod, wanted: Wanted, reason: str, message: str) -> None:
        """About a container of a pod."""
        if reason in WARNINGS or reason.startswith("Failed"):
            self.recorder.warning(pod, reason, message, field=field_of(pod, wanted.name))
        else:
            self.recorder.normal(pod, reason, message, field=field_of(pod, wanted.name))

    def wake(self, pod: Pod) -> None:
        self._wake_uid(pod.metadata.uid)

    def handler_of(self, pod: Pod) -> str:
        """Of the runtime, by the pod's RuntimeClass. Raises ConfigProblem."""
        name, handler = pod.spec.runtime_class_name, ""
        if name:
            found = self._runtime_classes.lister.get(name)
            if found is None:
                raise ConfigProblem(f'RuntimeClass "{name}" not found', "FailedCreatePodSandBox")
            handler = found.handler
        return handler

    async def first_user(self, pod: Pod) -> int:
        """Where the range of users of a pod with a user namespace begins, else 0. Raises ConfigProblem where the
        pod's handler has none (pkg/kubelet/userns), RuntimeFault, OSError."""
        if pod.spec.host_users is not False or self.simulated:
            return 0
        if self._runtime_info is None:
            self._runtime_info = await self.runtime.info()
        handler = self.handler_of(pod)
        if not self._runtime_info.handler(handler).user_namespaces:
            whose = f'RuntimeClass handler "{handler}"' if handler else "runtime"
            raise ConfigProblem(
                f"can't set `spec.hostUsers: false`, {whose} does not support user namespaces",
                "FailedCreatePodSandBox",
            )
        try:
            return await asyncio.to_thread(self._users.of, pod.metadata.uid)
        except RangesExhausted as error:
            raise ConfigProblem(f"create user namespace: {error}", "FailedCreatePodSandBox") from error

    async def delete(self, pod: Pod) -> None:
        meta = pod.metadata
        with contextlib.suppress(NotFound, Conflict):
            await self.client.delete(Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_seconds=0)

    async def prepare(self, pod: Pod) -> None:
        """Directories and volumes. Raises ConfigProblem."""
        if not self.simulated:
            await asyncio.to_thread(self._groups.admit, pod, self._mine())
            await asyncio.to_thread(Path(log_directory(pod, self.settings)).mkdir, parents=True, exist_ok=True)
            await self._inputs.prepare(pod)

    @property
    def recursive_read_only(self) -> bool:
        return self._inputs.recursive_read_only

    async def inputs(
        self, pod: Pod, wanted: Wanted, attempt: int, ips: Sequence[str]
    ) -> tuple[Sequence[tuple[str, str]], Sequence[Mount]]:
        """Environment and mounts of a container. Raises ConfigProblem."""
        ips = self.host_ips if pod.spec.host_network else ips
        env = await self._inputs.environment(pod, wanted, ips)
        if self.simulated:
            return env, ()
        return env, await self._inputs.mounts(pod, wanted, attempt, ips, dict(env))

    def block_devices(self, pod: Pod, wanted: Wanted) -> Sequence[Device]:
        """The volumes that a container whose `inputs` are there sees as devices."""
        return self._inputs.devices(pod, wanted) if not self.simulated else ()

    async def gear(self, pod: Pod, wanted: Wanted) -> Gear:
        """What a container that starts now gets with the devices of plugins. Raises ConfigProblem."""
        try:
            return await self.devices.gear(pod, wanted)
        except Refused as error:
            raise ConfigProblem(str(error)) from error

    async def pull(self, pod: Pod, reference: str) -> Image:
        """Raises RuntimeFault."""
        secrets = await self._inputs.pull_secrets(pod, reference)
        await asyncio.to_thread(self._pull_records.begin, reference)
        try:
            found = await pull(self.runtime, self._registries, reference, secrets)
        except RuntimeFault:
            await asyncio.to_thread(self._pull_records.failed, reference)
            raise
        await asyncio.to_thread(self._pull_records.pulled, reference, found.image.id, found.auth)
        return found.image

    async def may_use(self, pod: Pod, reference: str, image: Image) -> bool:
        """Whether the pod needs not ask the registry for an image that is here."""
        records = self._pull_records
        if records.for_everybody(reference, image.id):
            return True
        return records.opens(reference, image.id, await self._inputs.pull_secrets(pod, reference))

    async def images_removed(self, images: Iterable[str]) -> None:
        await asyncio.to_thread(self._pull_records.forget, images)

    async def hook(self, pod: Pod, wanted: Wanted, container: str, handler: LifecycleHandler) -> None:
        """Run a postStart or preStop handler. Raises HookFailed."""
        if not self.simulated or handler.sleep is not None:
            await run_hook(self.runtime, self.clock, wanted, container, handler, self._ips(pod))

    async def release(self, pod: Pod) -> None:
        """Volumes, devices and control group of a pod of which nothing runs or will run again. Raises OSError."""
        if not self.simulated:
            await self._inputs.release(pod.metadata.uid)
            await self.devices.release(pod.metadata.uid)
            await asyncio.to_thread(self._groups.remove, pod, self._mine())

    async def forget(self, pod: Pod) -> None:
        """Files and probes of a pod that is over."""
        self.probes.forget(pod)
        await self.devices.release(pod.metadata.uid)
        if not self.simulated:
            await self._inputs.remove(pod.metadata.uid)
            await asyncio.to_thread(self._groups.remove, pod, self._mine())
            if any(volume.image is not None for volume in pod.spec.volumes):
                await self.runtime.drop_image_trees(frozenset(self.workers.keys() - {pod.metadata.uid}))
            await asyncio.to_thread(shutil.rmtree, log_directory(pod, self.settings), ignore_errors=True)

    def with_message(self, pod: Pod, container: Container) -> Container:
        if self.simulated or container.state is not State.EXITED or container.message:
            return container
        return self._inputs.with_termination_message(pod, container)

    def _probed(self, pod: Pod, wanted: Wanted, reason: str, message: str) -> None:
        if reason:
            self.event(pod, wanted, reason, message)
        self.wake(pod)

    def _ips(self, pod: Pod) -> Sequence[str]:
        if pod.spec.host_network:
            return self.host_ips
        found = self.network.attachment(pod.metadata.uid)
        return found.ips if found is not None else ()
