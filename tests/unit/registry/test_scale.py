"""Writes through /scale."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.apps_v1 import Deployment, DeploymentSpec
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.auth.base import User
from minikube.client.base import PatchType
from minikube.errors import BadRequest, Conflict, Invalid, UnsupportedMediaType
from minikube.registry.base import Request
from minikube.registry.custom import kinds_of
from minikube.registry.scale import patch_scale, put_scale, scale_of
from minikube.resources.base import Kind
from minikube.schema.managed import ApplyConflict
from tests.fakes.cluster import Cluster, template
from tests.unit.registry.test_custom import VERSION, WIDGETS

REQUEST = Request(user=User("me"), field_manager="test")
SUBRESOURCES = {"scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}
REPLACE = {"op": "replace", "path": "/spec/replicas", "value": 5}


async def opened() -> tuple[Cluster, Kind, dict[str, Any]]:
    """A deployment with two replicas, its kind and its scale."""
    cluster = await Cluster.open()
    selector = LabelSelector(match_labels={"app": "web"})
    spec = DeploymentSpec(replicas=2, selector=selector, template=template())
    await cluster.client.create(Deployment(metadata=ObjectMeta(name="web", namespace="default"), spec=spec))
    kind = cluster.registry.find("apps", "v1", "deployments")
    assert kind is not None
    return cluster, kind, scale_of(kind, (await cluster.registry.get(kind, "default", "web")).tree(kind))


@pytest.mark.parametrize(
    ("type", "patch"),
    [
        (PatchType.MERGE, {"spec": {"replicas": 5}}),
        (PatchType.STRATEGIC, {"spec": {"replicas": 5}}),
        (PatchType.JSON, [{"op": "test", "path": "/spec/replicas", "value": 2}, REPLACE]),
    ],
)
async def test_patches_of_a_scale_change_the_count_and_nothing_else(type: PatchType, patch: Any) -> None:
    cluster, kind, _ = await opened()
    stored = await patch_scale(cluster.registry, kind, "default", "web", patch, type, REQUEST)
    found = stored.tree(kind)
    assert found["spec"]["replicas"] == scale_of(kind, found)["spec"]["replicas"] == 5
    assert found["metadata"]["generation"] == 2
    ours = [one for one in found["metadata"]["managedFields"] if one["manager"] == "test"]
    assert [(one["operation"], one["subresource"], one["apiVersion"]) for one in ours if "subresource" in one] == [
        ("Update", "scale", "apps/v1")
    ]
    assert next(one["fieldsV1"] for one in ours if "subresource" in one) == {"f:spec": {"f:replicas": {}}}


async def test_a_put_keeps_to_the_revision_and_uid_it_names() -> None:
    cluster, kind, scale = await opened()
    registry = cluster.registry
    for metadata in ({**scale["metadata"], "resourceVersion": "1"}, {**scale["metadata"], "uid": "another"}):
        with pytest.raises(Conflict):
            await put_scale(registry, kind, "default", "web", {**scale, "metadata": metadata}, REQUEST)
    stored = await put_scale(registry, kind, "default", "web", {**scale, "spec": {"replicas": 3}}, REQUEST)
    assert stored.tree(kind)["spec"]["replicas"] == 3
    with pytest.raises(Conflict, match="the object has been modified"):
        await put_scale(registry, kind, "default", "web", {**scale, "spec": {"replicas": 4}}, REQUEST)
    await put_scale(registry, kind, "default", "web", {"spec": {"replicas": 4}}, REQUEST)


async def test_a_patch_keeps_to_the_revision_it_names() -> None:
    cluster, kind, _ = await opened()
    patch = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 5}}
    with pytest.raises(Conflict):
        await patch_scale(cluster.registry, kind, "default", "web", patch, PatchType.MERGE, REQUEST)


async def test_an_apply_owns_the_count() -> None:
    cluster, kind, _ = await opened()
    one, other = Request(user=User("a"), field_manager="a"), Request(user=User("b"), field_manager="b")
    patch = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 2}}
    stored = await patch_scale(cluster.registry, kind, "default", "web", patch, PatchType.APPLY, one)
    entry = next(e for e in stored.tree(kind)["metadata"]["managedFields"] if e["manager"] == "a")
    assert (entry["operation"], entry["subresource"]) == ("Apply", "scale")
    more = {**patch, "spec": {"replicas": 7}}
    with pytest.raises(ApplyConflict):
        await patch_scale(cluster.registry, kind, "default", "web", more, PatchType.APPLY, other)


@pytest.mark.parametrize(
    ("scale", "error"),
    [
        ({"spec": {"replicas": -1}}, Invalid),
        ({"spec": {"replicas": "many"}}, BadRequest),
        ({"metadata": {"name": "other"}, "spec": {"replicas": 1}}, BadRequest),
    ],
)
async def test_refused(scale: dict[str, Any], error: type[Exception]) -> None:
    cluster, kind, _ = await opened()
    with pytest.raises(error):
        await put_scale(cluster.registry, kind, "default", "web", scale, REQUEST)


async def test_custom_resources_take_no_strategic_patch() -> None:
    cluster = await Cluster.open()
    versions = [{**VERSION, "subresources": SUBRESOURCES}]
    kind = kinds_of({**WIDGETS, "spec": {**WIDGETS["spec"], "versions": versions}}).storage
    with pytest.raises(UnsupportedMediaType, match="accepted media types include"):
        await patch_scale(cluster.registry, kind, "default", "a", {}, PatchType.STRATEGIC, REQUEST)
