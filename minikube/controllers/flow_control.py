"""Flow schemas and priority levels: those of every cluster are put right, and every schema says whether its
level is there.

Rules: kubernetes staging/src/k8s.io/apiserver/pkg/util/flowcontrol (apf_controller) and pkg/registry/flowcontrol/
ensurer: mandatory objects always get their spec back (the shares of the exempt level are the administrator's),
others unless apf.kubernetes.io/autoupdate-spec says no or, where it is missing, somebody has changed them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, TypeVar

import msgspec

from minikube.api.flow_objects import AUTOUPDATE, EXEMPT, MANDATORY, flow_schemas, priority_levels
from minikube.api.flowcontrol_v1 import FlowSchema, FlowSchemaCondition, PriorityLevelConfiguration
from minikube.api.meta import Key
from minikube.client.base import Client
from minikube.controllers.base import Context, Watch, itself
from minikube.errors import AlreadyExists, NotFound

FlowObject = TypeVar("FlowObject", FlowSchema, PriorityLevelConfiguration)


class FlowControlController:
    name: ClassVar[str] = "flow-control"
    workers: ClassVar[int] = 1

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._schemas = context.informers.of(FlowSchema).lister
        self._levels = context.informers.of(PriorityLevelConfiguration).lister
        self.watches = (itself(FlowSchema), Watch(PriorityLevelConfiguration, self._referring))

    def _referring(self, level: PriorityLevelConfiguration) -> Iterable[Key]:
        for schema in self._schemas.list():
            if schema.spec.priority_level_configuration.name == level.metadata.name:
                yield Key("", schema.metadata.name)
        if level.metadata.name in MANDATORY:
            yield Key("", level.metadata.name)

    async def reconcile(self, key: Key) -> None:
        if key.name in MANDATORY:
            await ensure_flow_control(self._client, only=(key.name,))
        schema = self._schemas.get(key.name)
        if schema is None:
            return
        level = schema.spec.priority_level_configuration.name
        condition = dangling(level, missing=self._levels.get(level) is None, now=self._clock.now())
        before = next((one for one in schema.status.conditions if one.type == condition.type), None)
        if before is not None and (before.status, before.message) == (condition.status, condition.message):
            return
        kept = tuple(one for one in schema.status.conditions if one.type != condition.type)
        status = msgspec.structs.replace(schema.status, conditions=(*kept, condition))
        await self._client.update(msgspec.structs.replace(schema, status=status), subresource="status")


async def ensure_flow_control(client: Client, only: Iterable[str] = ()) -> None:
    """Create what is missing and put right what is not as it should be; `only` these names if any are given."""
    async with asyncio.TaskGroup() as tasks:
        for level in priority_levels():
            if not only or level.metadata.name in only:
                tasks.create_task(_ensure(client, level))
        for schema in flow_schemas():
            if not only or schema.metadata.name in only:
                tasks.create_task(_ensure(client, schema))


async def _ensure(client: Client, wanted: FlowObject) -> None:
    try:
        present = await client.get(type(wanted), wanted.metadata.name)
    except NotFound:
        with contextlib.suppress(AlreadyExists):
            await client.create(wanted)
        return
    changed = reconciled(present, wanted)
    if changed != present:
        await client.update(changed)


def reconciled(present: FlowObject, wanted: FlowObject) -> FlowObject:
    """`present` with the spec it should have, and said whether that is kept up to date."""
    metadata = present.metadata
    said = metadata.annotations.get(AUTOUPDATE)
    ours = said == "true" or (said != "false" and metadata.generation == 1)
    ours = ours or metadata.name in MANDATORY
    annotations = {**metadata.annotations, AUTOUPDATE: "true" if ours else "false"}
    changed = msgspec.structs.replace(present, metadata=msgspec.structs.replace(metadata, annotations=annotations))
    administered = isinstance(present, PriorityLevelConfiguration) and metadata.name == EXEMPT
    return msgspec.structs.replace(changed, spec=wanted.spec) if ours and not administered else changed


def dangling(level: str, *, missing: bool, now: datetime) -> FlowSchemaCondition:
    """The condition of a flow schema whose priority level has this name."""
    what = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    return FlowSchemaCondition(
        type="Dangling",
        status="True" if missing else "False",
        reason="NotFound" if missing else "Found",
        message=f"{what} but there is no such object" if missing else f"{what} and it exists",
        last_transition_time=now.replace(microsecond=0),
    )
