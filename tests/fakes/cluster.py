"""A registry in memory with one controller on top, driven key by key: the real parts, no server, no sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from minikube.admission.chain import Chain
from minikube.admission.plugins import OFF, known
from minikube.admission.policies.type_checking import expression_warnings
from minikube.admission.quota.reservations import Reservations
from minikube.api.core_v1 import Container, Namespace, Node, Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec
from minikube.api.meta import Key, Object, ObjectMeta
from minikube.auth.base import User
from minikube.auth.rbac import RbacAuthorizer
from minikube.controllers.base import After, Context
from minikube.registry.informers import LocalInformers
from minikube.registry.local import LocalClient
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.settings import Settings
from minikube.store.memory import MemoryStore


class HandClock:
    """Time moves only when told to."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Told:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def normal(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        self.events.append((reason, message))

    warning = normal


class Cluster:
    """`await Cluster.open()`; then `reconcile` a controller's key as often as the test wants."""

    def __init__(self, registry: StoreRegistry) -> None:
        self.registry = registry
        self.client = LocalClient(registry, User("test"), "test")
        self.informers = LocalInformers(registry)
        self.clock = HandClock()
        self.told = Told()
        self.reservations = Reservations()
        self.running: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls) -> Cluster:
        settings = Settings()
        registry = StoreRegistry(MemoryStore(), ALL, settings=settings)
        await registry.start()
        cluster = cls(registry)
        cluster.running = asyncio.create_task(registry.run(), name="registry")
        await cluster.client.create(Namespace(metadata=ObjectMeta(name="default")))
        return cluster

    def admit(self, *only: str) -> None:
        """From now on with admission, of all plugins or those of these names."""
        every = known(self.informers, RbacAuthorizer(self.informers), self.client, self.clock, self.reservations)
        self.registry.use_admission(
            Chain([one for one in every if (one.name in only if only else one.name not in OFF)])
        )

    def context(self) -> Context:
        return Context(
            client=self.client,
            informers=self.informers,
            events=self.told,
            clock=self.clock,
            settings=Settings(),
            reservations=self.reservations,
            check_types=lambda policy: expression_warnings(policy, self.registry.kinds()),
        )

    async def settle(self, controller: Any, key: Key, times: int = 3) -> After | None:
        after = None
        for _ in range(times):
            after = await controller.reconcile(key)
        return after

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Let background tasks of the test work until this holds."""
        for _ in range(10_000):
            if await holds():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came true")

    async def pods(self) -> list[Pod]:
        found = await self.client.list(Pod, "default")
        return sorted(found.items, key=lambda pod: pod.metadata.name)

    async def node(self, name: str, labels: Mapping[str, str] | None = None) -> Node:
        return await self.client.create(Node(metadata=ObjectMeta(name=name, labels=labels or {})))

    async def phase(self, pod: Pod, phase: str, *, ready: bool = False) -> Pod:
        """What a node agent would report."""
        found = await self.client.get(Pod, pod.metadata.name, pod.metadata.namespace)
        conditions = (PodCondition(type="Ready", status="True", last_transition_time=self.clock.at),)
        status = PodStatus(phase=phase, conditions=conditions if ready else ())
        return await self.client.update(msgspec.structs.replace(found, status=status), subresource="status")

    async def everything_runs(self) -> None:
        for pod in await self.pods():
            if pod.metadata.deletion_timestamp is not None:
                meta = pod.metadata
                await self.client.delete(Pod, meta.name, meta.namespace, grace_period_seconds=0)
            elif pod.status.phase in ("", "Pending"):
                await self.phase(pod, "Running", ready=True)


def template(image: str = "nginx", restart_policy: str = "", **labels: str) -> PodTemplateSpec:
    spec = PodSpec(containers=(Container(name="main", image=image),), restart_policy=restart_policy)
    return PodTemplateSpec(metadata=ObjectMeta(labels=labels or {"app": "web"}), spec=spec)
