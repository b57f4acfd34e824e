"""Flow schemas and priority levels: what is put right, what is left alone, and what schemas say of their level."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from minikube.api.flow_objects import AUTOUPDATE, flow_schemas, priority_levels
from minikube.api.flowcontrol_v1 import FlowSchema, PriorityLevelConfiguration
from minikube.api.meta import Key, ObjectMeta
from minikube.controllers.flow_control import FlowControlController, ensure_flow_control, reconciled
from tests.fakes.cluster import Cluster

SCHEMAS = {one.metadata.name: one for one in flow_schemas()}
LEVELS = {one.metadata.name: one for one in priority_levels()}


def changed(schema: FlowSchema, generation: int = 2, **annotations: str) -> FlowSchema:
    spec = msgspec.structs.replace(schema.spec, matching_precedence=77)
    metadata = ObjectMeta(name=schema.metadata.name, generation=generation, annotations=annotations)
    return msgspec.structs.replace(schema, metadata=metadata, spec=spec)


@pytest.mark.parametrize(
    ("name", "generation", "said", "precedence", "says"),
    [
        ("system-nodes", 2, {AUTOUPDATE: "true"}, 500, "true"),
        ("system-nodes", 2, {AUTOUPDATE: "false"}, 77, "false"),
        ("system-nodes", 1, {}, 500, "true"),
        ("system-nodes", 2, {}, 77, "false"),
        ("catch-all", 2, {AUTOUPDATE: "false"}, 10000, "true"),
    ],
)
def test_specs_are_put_right_unless_somebody_changed_them(
    name: str, generation: int, said: dict[str, str], precedence: int, says: str
) -> None:
    found = reconciled(changed(SCHEMAS[name], generation, **said), SCHEMAS[name])
    assert found.spec.matching_precedence == precedence
    assert found.metadata.annotations == {AUTOUPDATE: says}


def test_the_shares_of_the_exempt_level_are_the_administrators() -> None:
    wanted = LEVELS["exempt"]
    assert wanted.spec.exempt is not None
    spec: Any = msgspec.structs.replace(
        wanted.spec, exempt=msgspec.structs.replace(wanted.spec.exempt, nominal_concurrency_shares=9)
    )
    assert reconciled(msgspec.structs.replace(wanted, spec=spec), wanted).spec == spec


async def test_a_second_start_writes_nothing() -> None:
    cluster = await Cluster.open()
    await ensure_flow_control(cluster.client)
    before = cluster.registry.cache.revision
    await ensure_flow_control(cluster.client)
    assert cluster.registry.cache.revision == before
    assert len((await cluster.client.list(FlowSchema)).items) == 13
    assert len((await cluster.client.list(PriorityLevelConfiguration)).items) == 8


async def test_schemas_say_whether_their_level_is_there() -> None:
    cluster = await Cluster.open()
    await ensure_flow_control(cluster.client)
    controller, key = FlowControlController(cluster.context()), Key("", "system-nodes")

    async def said() -> tuple[str, str]:
        await controller.reconcile(key)
        (condition,) = (await cluster.client.get(FlowSchema, key.name)).status.conditions
        return condition.status, condition.reason

    assert await said() == ("False", "Found")
    await cluster.client.delete(PriorityLevelConfiguration, "system")
    assert await said() == ("True", "NotFound")


async def test_mandatory_objects_come_back() -> None:
    cluster = await Cluster.open()
    await ensure_flow_control(cluster.client)
    await cluster.client.delete(FlowSchema, "catch-all")
    await cluster.client.delete(PriorityLevelConfiguration, "catch-all")
    await FlowControlController(cluster.context()).reconcile(Key("", "catch-all"))
    schema = await cluster.client.get(FlowSchema, "catch-all")
    await cluster.client.get(PriorityLevelConfiguration, "catch-all")
    assert schema.status.conditions[0].status == "False"
