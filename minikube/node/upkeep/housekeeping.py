"""What the node does for its own sake: rotates logs, collects garbage, and evicts pods when it runs short."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minikube.api.core_v1 import Pod
from minikube.api.quantity import value
from minikube.node.container.spec import log_directory
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import is_terminal
from minikube.node.runtime.base import RuntimeFault, State
from minikube.node.upkeep import garbage, log_rotation
from minikube.node.upkeep.capacity import parse_reserved
from minikube.node.upkeep.eviction import PodUsage, limited, over_limit, ranked, shortage
from minikube.node.upkeep.measuring import node_measures, pod_usage
from minikube.node.upkeep.thresholds import (
    CONDITIONS,
    IMAGE_DISK,
    RESOURCES,
    Measure,
    Pressure,
    Threshold,
    parse_duration,
    parse_thresholds,
)
from minikube.settings import Settings, SettingsError

if TYPE_CHECKING:
    from minikube.node.agent import Agent
    from minikube.node.pod.worker import PodWorker

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
CLEANUP_SECONDS = 30.0
"""In which an evicted pod should have ended before the next one goes."""
COLLECT_EVERY = 300.0
"""Images; as often as the kubelet does."""


class EvictionSettings(NamedTuple):
    """As configured, understood."""

    thresholds: tuple[Threshold, ...]
    transition: timedelta
    """How long a condition stays after its thresholds."""
    image_age: timedelta
    """How long an image stays in any case."""
    image_limit: timedelta
    """How long one may stay unused; zero: no matter."""


class Housekeeping:
    """`conditions` are the node's pressure conditions that hold now. Raises SettingsError when made."""

    def __init__(self, agent: Agent, kept_images: Callable[[], frozenset[str]]) -> None:
        self._agent, self._kept_images = agent, kept_images
        self._settings = agent.settings
        self.thresholds, self._transition, self._image_age, self._image_limit = eviction_settings(agent.settings)
        self._pressure = Pressure()
        self._records: dict[str, garbage.Record] = {}
        self.conditions: frozenset[str] = frozenset()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, every, work in (
                ("eviction", LOOK_EVERY, self._relieve),
                ("container logs", LOOK_EVERY, self._rotate_logs),
                ("images", COLLECT_EVERY, self._collect_images),
            ):
                group.create_task(self._repeat(every, work), name=name)

    async def _repeat(self, every: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (RuntimeFault, OSError) as error:
                log.warning("%s", error)
            await self._agent.clock.sleep(every)

    # ---- eviction ------------------------------------------------------------------------------------

    async def _relieve(self) -> None:
        """One look: pods over their own limits go; for a shortage of the node first garbage, then one pod."""
        over = await self._over_their_limits()
        for pod, ending in over:
            self._evict(pod, ending)
        measures = await self._look()
        due = self._pressure.due(self._agent.clock.now())
        if over or not due:
            return
        threshold = due[0]
        disk = CONDITIONS[threshold.signal] == "DiskPressure"
        if disk:
            await self._discard_ended()
            await self._free_disk(None)
            await self._agent.runtime.reclaim()
            measures = await self._look()
            if not threshold.met(measures, before=True):
                return
        if (worker := await self._evict_for(threshold, measures[threshold.signal])) is not None:
            with contextlib.suppress(TimeoutError):  # what it held is not free before that
                async with asyncio.timeout(CLEANUP_SECONDS):
                    await worker.ended()
            if disk:
                await self._discard_ended()
                await self._agent.runtime.reclaim()

    async def _look(self) -> Mapping[str, Measure]:
        measures = await asyncio.to_thread(node_measures, self._settings)
        now = self._agent.clock.now()
        self._pressure = self._pressure.look(self.thresholds, measures, now)
        before, self.conditions = self.conditions, self._pressure.conditions(now, self._transition)
        if self.conditions != before:
            self._agent.reporting.soon()
        return measures

    async def _evict_for(self, threshold: Threshold, measure: Measure) -> PodWorker | None:
        """The worker of the one pod that goes."""
        resource = RESOURCES[threshold.signal]
        node = self._agent.node()
        if node is not None:
            self._agent.recorder.warning(node, "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        pods = [pod for pod in self._agent.living() if pod.metadata.deletion_timestamp is None]
        usage = await self._usage(pods)
        for pod in ranked(pods, usage, threshold.signal)[:1]:
            used = usage.get(pod.metadata.uid, PodUsage())
            grace = float(self._settings.eviction_max_pod_grace_period)
            return self._evict(pod, shortage(pod, used, threshold, measure, grace))
        return None

    async def _over_their_limits(self) -> list[tuple[Pod, Ending]]:
        pods = [pod for pod in self._agent.living() if limited(pod)]
        usage = await self._usage(pods) if pods else {}
        found = ((pod, over_limit(pod, usage[pod.metadata.uid])) for pod in pods if pod.metadata.uid in usage)
        return [(pod, ending) for pod, ending in found if ending is not None]

    def _evict(self, pod: Pod, ending: Ending) -> PodWorker | None:
        worker = self._agent.workers.get(pod.metadata.uid)
        if worker is not None:
            log.info("evicting %s/%s: %s", pod.metadata.namespace, pod.metadata.name, ending.message)
            self._agent.recorder.warning(pod, ending.reason, ending.message)
            worker.end(ending)
        return worker

    async def _usage(self, pods: Iterable[Pod]) -> dict[str, PodUsage]:
        containers = await self._agent.runtime.usage()
        found = {}
        for pod in pods:
            uid = pod.metadata.uid
            volumes = await self._agent.volume_usage(pod)
            mine = [each for each in containers if each.pod_uid == uid]
            found[uid] = await pod_usage(pod, mine, volumes, self._settings)
        return found

    # ---- garbage -------------------------------------------------------------------------------------

    async def _collect_images(self) -> None:
        measures = await asyncio.to_thread(node_measures, self._settings)
        settings = self._settings
        high, low = settings.image_gc_high_threshold, settings.image_gc_low_threshold
        await self._free_disk(garbage.to_free(measures[IMAGE_DISK], high=high, low=low), oldest=self._image_limit)

    async def _discard_ended(self) -> None:
        """Containers of pods that will not run again, and what they wrote; what their status says of them stays."""
        for worker in list(self._agent.workers.values()):
            if is_terminal(worker.pod):
                for container in worker.observed.containers:
                    if container.state is State.EXITED and container.image:
                        await self._agent.runtime.remove_container(container.id)
                worker.wake()

    async def _free_disk(self, amount: int | None, *, oldest: timedelta | None = None) -> None:
        """Remove unused images: those unused for longer than `oldest`, then more until `amount` bytes are free.

        `amount` None: all of them.
        """
        runtime, now = self._agent.runtime, self._agent.clock.now()
        images = await runtime.images()
        in_use = frozenset(each.image_id for each in await runtime.containers())
        self._records = garbage.seen(self._records, images, in_use, now)
        wanted = 1 << 63 if amount is None else amount
        kept = self._kept_images()
        old = garbage.outdated(images, self._records, kept, now, oldest) if oldest else ()
        rest = [image for image in images if image not in old]
        wanted -= sum(image.size for image in old)
        chosen = [*old, *garbage.removable(rest, self._records, kept, now, wanted, age=self._image_age)]
        for image in chosen:
            log.info("removing image %s", ", ".join(image.tags or (image.id,)))
            await runtime.remove_image(image.id)
        await self._agent.images_removed([image.id for image in chosen])
        freed = sum(image.size for image in chosen)
        node = self._agent.node()
        if amount is not None and freed < amount and node is not None:
            text = f"Failed to garbage collect required amount of images. Attempted to free {amount} bytes"
            self._agent.recorder.warning(
                node, "FreeDiskSpaceFailed", f"{text}, but only found {freed} bytes eligible to free."
            )

    # ---- logs ----------------------------------------------------------------------------------------

    async def _rotate_logs(self) -> None:
        limit, files = value(self._settings.container_log_max_size), self._settings.container_log_max_files
        for worker in list(self._agent.workers.values()):
            directory = Path(log_directory(worker.pod, self._settings))
            for container in worker.observed.containers:
                path = directory / container.name / f"{container.attempt}.log"
                if container.state is not State.RUNNING or not await asyncio.to_thread(
                    log_rotation.too_large, path, limit
                ):
                    continue
                now = self._agent.clock.now()
                aside = await asyncio.to_thread(log_rotation.set_aside, path, files=files, now=now)
                try:
                    await self._agent.runtime.reopen_log(container.id)
                except RuntimeFault:
                    await asyncio.to_thread(aside.rename, path)
                    raise


def eviction_settings(settings: Settings) -> EvictionSettings:
    """Raises SettingsError."""
    try:
        for text in (settings.kube_reserved, settings.system_reserved):
            parse_reserved(text)
        found = parse_thresholds(
            settings.eviction_hard,
            settings.eviction_soft,
            settings.eviction_soft_grace_period,
            settings.eviction_minimum_reclaim,
        )
        transition = parse_duration(settings.eviction_pressure_transition_period)
        image_age = parse_duration(settings.image_minimum_gc_age)
        image_limit = parse_duration(settings.image_maximum_gc_age)
        if image_limit and image_limit < image_age:
            raise ValueError("image_maximum_gc_age is less than image_minimum_gc_age")
        return EvictionSettings(found, *(timedelta(seconds=each) for each in (transition, image_age, image_limit)))
    except ValueError as error:
        raise SettingsError(str(error)) from error
