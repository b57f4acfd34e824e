"""An APIService for every group version that is served here: built-in ones from the start, those of custom
resources as long as a definition serves them.

Rules: kube-apiserver's aggregator.go, pkg/controlplane/controller/crdregistration and kube-aggregator's
autoregister and local-available controllers. An APIService that names a service is its owner's, not ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

import msgspec

from minikube.api.apiextensions_v1 import CustomResourceDefinition
from minikube.api.apiregistration_v1 import APIService, APIServiceCondition, APIServiceSpec
from minikube.api.meta import Key, ObjectMeta
from minikube.client.base import Client
from minikube.controllers.base import Context, Watch, itself
from minikube.errors import AlreadyExists, NotFound
from minikube.resources.all import ALL
from minikube.resources.priorities import CUSTOM, GROUPS, priorities

MANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"


class APIServiceController:
    name: ClassVar[str] = "api-services"
    workers: ClassVar[int] = 1
    watches = (itself(APIService), Watch(CustomResourceDefinition, lambda definition: names_of(definition)))

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._services = context.informers.of(APIService).lister
        self._definitions = context.informers.of(CustomResourceDefinition).lister

    async def reconcile(self, key: Key) -> None:
        present = self._services.get(key.name)
        version, _, group = key.name.partition(".")
        serves = any(served(definition, group, version) for definition in self._definitions.list())
        if present is None:
            if serves and group not in GROUPS:
                with contextlib.suppress(AlreadyExists):
                    await self._client.create(api_service(group, version, ALWAYS, CUSTOM))
            return
        if not serves and present.metadata.labels.get(MANAGED) == ALWAYS:
            with contextlib.suppress(NotFound):
                await self._client.delete(APIService, key.name, uid=present.metadata.uid)
            return
        if present.spec.service is None and not any(one.type == "Available" for one in present.status.conditions):
            conditions = (*present.status.conditions, available(self._clock.now()))
            status = msgspec.structs.replace(present.status, conditions=conditions)
            await self._client.update(msgspec.structs.replace(present, status=status), subresource="status")


async def ensure_api_services(client: Client) -> None:
    """Register the built-in group versions, and put those right that are ours; all at a time, for one commit."""
    async with asyncio.TaskGroup() as tasks:
        for wanted in built_in():
            tasks.create_task(_ensure(client, wanted))


async def _ensure(client: Client, wanted: APIService) -> None:
    try:
        present = await client.get(APIService, wanted.metadata.name)
    except NotFound:
        await client.create(wanted)
        return
    if present.spec != wanted.spec and MANAGED in present.metadata.labels:
        await client.update(msgspec.structs.replace(present, spec=wanted.spec))


def built_in() -> list[APIService]:
    found = dict.fromkeys((kind.resource.group, kind.resource.version) for kind in ALL)
    return [
        api_service(group, version, ON_START, priorities(group, version))
        for group, version in found
        if group in GROUPS
    ]


def api_service(group: str, version: str, managed: str, priority: tuple[int, int]) -> APIService:
    return APIService(
        metadata=ObjectMeta(name=f"{version}.{group}", labels={MANAGED: managed}),
        spec=APIServiceSpec(
            group=group, version=version, group_priority_minimum=priority[0], version_priority=priority[1]
        ),
    )


def names_of(definition: CustomResourceDefinition) -> Iterable[Key]:
    for version in definition.spec.versions:
        yield Key("", f"{version.name}.{definition.spec.group}")


def served(definition: CustomResourceDefinition, group: str, version: str) -> bool:
    """Whether this definition is established and serves this version of this group."""
    established = any(one.type == "Established" and one.status == "True" for one in definition.status.conditions)
    return (
        established
        and definition.spec.group == group
        and any(one.served and one.name == version for one in definition.spec.versions)
    )


def available(now: datetime) -> APIServiceCondition:
    return APIServiceCondition(
        type="Available",
        status="True",
        reason="Local",
        message="Local APIServices are always available",
        last_transition_time=now.replace(microsecond=0),
    )
