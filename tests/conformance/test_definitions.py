"""api-machinery/crd: custom resource definitions as objects, their status, and what their schemas fill in."""

from __future__ import annotations

import pytest

from tests.api.raw import JSON_PATCH
from tests.conformance.definitions import CRD, defined, definition, instance, version
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance


@row(
    "CustomResourceDefinition resources Simple CustomResourceDefinition creating/deleting custom resource definition "
    "objects works"
)
def test_a_definition_comes_and_goes(space: Space):
    wanted = definition(space)
    with defined(space, wanted) as group:
        assert space.list(f"{group}v1/Foo") == []
    space.wait(lambda: space.gone(CRD, wanted["metadata"]["name"]))
    assert space.http.get(f"/apis/{group}v1").code == 404


@row(
    "CustomResourceDefinition resources Simple CustomResourceDefinition listing custom resource definition objects works"
)
def test_definitions_are_listed_by_label_and_deleted_as_a_collection(space: Space):
    label = {"e2e-list-test-uuid": space.name}
    select = f"e2e-list-test-uuid={space.name}"
    wanted = [definition(space, f"Foo{number}", labels=label) for number in range(10)]
    for each in wanted:
        space.create(each)
    kept = space.create(definition(space, "Kept"))["metadata"]["name"]
    assert len(space.list(CRD, labelSelector=select)) == 10
    space.http.delete(space.path(CRD, labelSelector=select)).ok()
    space.wait(lambda: not space.list(CRD, labelSelector=select))
    assert space.get(CRD, kept)
    space.delete(CRD, kept)


@row(
    "CustomResourceDefinition resources Simple CustomResourceDefinition getting/updating/patching custom resource "
    "definition status sub-resource works"
)
def test_a_condition_that_somebody_writes_is_kept(space: Space):
    wanted = definition(space)
    with defined(space, wanted):
        name = wanted["metadata"]["name"]
        condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

        def put() -> Obj:
            present = space.get(CRD, name, sub="status")
            present["status"]["conditions"].append(condition)
            return space.update(present, sub="status")

        updated = space.wait(put)
        assert "StatusUpdate" in [each["type"] for each in updated["status"]["conditions"]]
        patch = {"status": {"conditions": [{**condition, "type": "StatusPatched"}]}}
        patched = space.patch(CRD, name, patch, sub="status")
        assert "StatusPatched" in [each["type"] for each in patched["status"]["conditions"]]


@row(
    "CustomResourceDefinition resources should include custom resource definition resources in discovery documents"
)
def test_definitions_are_in_discovery(space: Space):
    groups = space.http.get("/apis").ok()["groups"]
    found = next(each for each in groups if each["name"] == "apiextensions.k8s.io")
    assert {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"} in found["versions"]
    alone = space.http.get("/apis/apiextensions.k8s.io").ok()
    assert {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"} in alone["versions"]
    resources = space.http.get("/apis/apiextensions.k8s.io/v1").ok()["resources"]
    assert "customresourcedefinitions" in [each["name"] for each in resources]


@row("CustomResourceDefinition resources custom resource defaulting for requests and from storage works")
def test_defaults_are_those_of_the_present_schema(space: Space):
    properties: Obj = {"a": {"type": "string"}, "b": {"type": "string"}}
    wanted = definition(space, "Foo", version("v1", {"type": "object", "properties": properties}))
    name = wanted["metadata"]["name"]
    with defined(space, wanted) as group:
        kind = f"{group}v1/Foo"

        def now_a_defaults(value: str) -> None:
            path = "/spec/versions/0/schema/openAPIV3Schema/properties/a/default"
            space.patch(CRD, name, [{"op": "add", "path": path, "value": value}], type=JSON_PATCH)

        space.create(instance(f"{group}v1", "Foo", "early"))
        now_a_defaults("A")
        space.wait(lambda: space.get(kind, "early").get("a") == "A")
        assert space.create(instance(f"{group}v1", "Foo", "late"))["a"] == "A"
        path = "/spec/versions/0/schema/openAPIV3Schema/properties/b/default"
        patch = [
            {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/a/default", "value": "X"},
            {"op": "add", "path": path, "value": "B"},
        ]
        space.patch(CRD, name, patch, type=JSON_PATCH)
        space.wait(lambda: space.get(kind, "late").get("b") == "B")
        found = space.get(kind, "late")
        assert (found["a"], found["b"]) == ("A", "B")
        assert space.get(kind, "early")["a"] == "X"


@row("CustomResourceDefinition Watch CustomResourceDefinition Watch watch on custom resource definition objects")
def test_custom_resources_are_watched(space: Space):
    with defined(space, definition(space, "WishIHadChosenNoxu", scope="Cluster")) as group:
        kind = f"{group}v1/WishIHadChosenNoxu"
        a = space.watch(kind, fieldSelector="metadata.name=name1")
        b = space.watch(kind, fieldSelector="metadata.name=name2")
        for events, name in ((a, "name1"), (b, "name2")):
            space.create(instance(f"{group}v1", "WishIHadChosenNoxu", name))
            event = next(events)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
        for events, name in ((a, "name1"), (b, "name2")):
            space.patch(kind, name, {"dummy": "test"})
            event = next(events)
            assert (event["type"], event["object"]["dummy"]) == ("MODIFIED", "test")
        for events, name in ((a, "name1"), (b, "name2")):
            space.delete(kind, name)
            event = next(events)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", name)
