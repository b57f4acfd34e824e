"""The devices of this node: which plugins are there, which pods hold what, and what that means for containers."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from minikube.api.core_v1 import Container, Pod, ResourceStatus
from minikube.kit.clock import Clock
from minikube.node.devices import base
from minikube.node.devices.base import Device, Gear, Held, Options, Refused, Supply
from minikube.node.devices.ledger import Ledger
from minikube.node.devices.plugin import Plugin, PluginFailed
from minikube.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds for which a new pod waits for devices of pods that end."""


class Offer(msgspec.Struct):
    """A resource that a plugin has registered: once, or still."""

    plugin: Plugin | None = None
    known: Sequence[Device] = ()
    options: Options = Options()
    left_at: float = 0.0
    """When the plugin went, if there is none."""

    def ended(self, now: float) -> Offer:
        """Nothing is healthy that nobody looks after."""
        return Offer(None, [replace(each, healthy=False) for each in self.known], self.options, now)


class Fate(enum.Enum):
    """What becomes of a pod that holds devices."""

    STAYS = "stays"
    ENDS = "ends"
    """What it holds will be free before long."""
    OVER = "over"
    """Nothing of it runs any more, nor will."""


class Devices:
    """`changed`: the node's status has to show something else; `wake`: so has that of a pod, by its uid; `fate` is
    that of a pod, by its uid."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        changed: Callable[[], None],
        wake: Callable[[str], None],
        fate: Callable[[str], Fate],
    ) -> None:
        self._settings, self._clock = settings, clock
        self._changed, self._wake, self._fate = changed, wake, fate
        self._ledger = Ledger(settings.agent_dir / "devices.json")
        now = clock.monotonic()
        self._offers = {each: Offer(left_at=now) for each in self._ledger.resources}
        self._choosing = asyncio.Lock()
        self._freed = asyncio.Event()

    # ---- plugins -------------------------------------------------------------------------------------

    async def register(self, version: str, endpoint: str, resource: str) -> Plugin:
        """A plugin that listens at `endpoint` offers the resource from now on, in the place of an earlier one: it
        is to be followed. Raises BadPlugin, PluginFailed, OSError."""
        base.check_registration(version, resource)
        plugin = Plugin(self._settings.device_plugins_dir / endpoint)
        try:
            await plugin.connect()
        except PluginFailed:
            await plugin.close()
            raise
        await self._ledger.register(resource)
        before = self._offers.get(resource, Offer())
        self._offers[resource] = Offer(plugin, before.known, plugin.options)
        log.info("device plugin of %s at %s", resource, plugin.socket)
        if before.plugin is not None:
            await before.plugin.close()
        return plugin

    async def follow(self, resource: str, plugin: Plugin) -> None:
        """Until the plugin has gone, or another has taken its place."""
        try:
            async for known in plugin.devices():
                if self._replaced(resource, plugin):
                    return
                self._offers[resource].known = known
                self._tell(resource)
        except PluginFailed as error:
            log.info("device plugin of %s: %s", resource, error)
        except asyncio.CancelledError:  # also what grpc raises when its channel is closed
            if not self._replaced(resource, plugin):
                raise
        finally:
            if not self._replaced(resource, plugin):
                self._offers[resource] = self._offers[resource].ended(self._clock.monotonic())
                self._tell(resource)
            await plugin.close()

    def _replaced(self, resource: str, plugin: Plugin) -> bool:
        return self._offers[resource].plugin is not plugin

    def _tell(self, resource: str) -> None:
        self._changed()
        for each in self._ledger.held:
            if each.resource == resource:
                self._wake(each.pod)

    # ---- pods ----------------------------------------------------------------------------------------

    async def admit(self, pod: Pod) -> None:
        """Set aside what its containers ask for, once pods that end have let go of it. Raises Refused: then it
        holds nothing."""
        if not any(base.asking(pod, self._offers)):
            return
        until = self._clock.monotonic() + PATIENCE
        while True:
            freed = self._freed
            try:
                async with self._choosing:
                    for wanted, resource, count in base.asking(pod, self._offers):
                        await self._give(pod, wanted, resource, count)
                return
            except Refused:
                await self.release(pod.metadata.uid)
                left = until - self._clock.monotonic()
                if left <= 0 or not self._soon_free(pod):
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await freed.wait()

    def _soon_free(self, pod: Pod) -> bool:
        """Whether something of what it asks for is held by a pod that ends, as one that was deleted by force."""
        wanted = {resource for _, resource, _ in base.asking(pod, self._offers)}
        return any(each.resource in wanted and self._fate(each.pod) is Fate.ENDS for each in self._ledger.held)

    async def gear(self, pod: Pod, wanted: Container) -> Gear:
        """What a container that is about to start gets to use its devices. Raises Refused."""
        uid = pod.metadata.uid
        held = {each.resource: each for each in self._ledger.of(uid, wanted.name)}
        missing = {name: count for name, count in base.asked(wanted).items() if name in self._offers.keys() - held}
        if missing:  # registered only after the pod had been admitted
            async with self._choosing:
                for resource, count in missing.items():
                    await self._give(pod, wanted, resource, count)
        held = {each.resource: each for each in self._ledger.of(uid, wanted.name)}
        for resource, each in held.items():
            offer = self._offers[resource]
            if offer.options.before_start:
                with _refusing():
                    await self._there(offer, resource).before_start(each.ids)
        return base.combined([each.gear for each in held.values()])

    def _there(self, offer: Offer, resource: str) -> Plugin:
        """Raises Refused."""
        if offer.plugin is None:
            raise Refused(
                f"device plugin PreStartContainer rpc failed with err: endpoint {resource} has been stopped"
            )
        return offer.plugin

    async def _give(self, pod: Pod, wanted: Container, resource: str, count: int) -> None:
        """Raises Refused."""
        uid = pod.metadata.uid
        for each in self._ledger.of(uid, wanted.name):
            if each.resource == resource:
                base.keeps(each, count, self._offers[resource].known)
                return
        with _refusing():
            await self._drop(lambda each: self._fate(each) is Fate.OVER)
            offer = self._offers[resource]
            again = base.reusable(pod, wanted.name, self._ledger.of(uid)).get(resource, frozenset())
            pool = base.pool(resource, count, offer.known, again, self._ledger.in_use(resource))
            assert offer.plugin is not None, "without a plugin nothing is healthy"
            ids = base.chosen(pool, await offer.plugin.preferred(pool) if pool.count else ())
            gear = await offer.plugin.allocate(ids)
            await self._ledger.add(Held(uid, wanted.name, resource, ids, gear))

    async def release(self, uid: str) -> None:
        """The pod does not use its devices any more. Raises OSError."""
        await self._drop(lambda each: each == uid)

    async def keep_only(self, uids: frozenset[str]) -> None:
        """Pods that went while nobody was looking hold nothing. Raises OSError."""
        await self._drop(lambda each: each not in uids)

    async def _drop(self, wanted: Callable[[str], bool]) -> None:
        if await self._ledger.drop(wanted):
            self._freed.set()
            self._freed = asyncio.Event()

    # ---- what is told --------------------------------------------------------------------------------

    def supply(self) -> Mapping[str, Supply]:
        """By resource, for the node's status."""
        now = self._clock.monotonic()
        return {
            resource: base.supply(each.known, None if each.plugin is not None else now - each.left_at)
            for resource, each in self._offers.items()
        }

    def health(self, pod: Pod) -> Mapping[str, tuple[ResourceStatus, ...]]:
        """Of the devices that its containers have, by their names."""
        held = self._ledger.of(pod.metadata.uid)
        return base.health(pod, held, self._here()) if held else {}

    def devices(self, uid: str, container: str) -> Mapping[str, Sequence[Device]]:
        """Those of a container, by resource."""
        known = self._here()
        return {
            each.resource: [known.get(each.resource, {}).get(id, Device(id)) for id in each.ids]
            for each in self._ledger.of(uid, container)
        }

    def allocatable(self) -> Mapping[str, Sequence[Device]]:
        """All that work, by resource."""
        return {name: [each for each in known.values() if each.healthy] for name, known in self._here().items()}

    def _here(self) -> Mapping[str, Mapping[str, Device]]:
        return {
            name: {each.id: each for each in offer.known}
            for name, offer in self._offers.items()
            if offer.plugin is not None
        }


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Whatever goes wrong, the container cannot have its devices."""
    try:
        yield
    except (PluginFailed, OSError) as error:
        raise Refused(str(error)) from error
