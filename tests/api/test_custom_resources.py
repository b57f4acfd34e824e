"""Custom resources as the conformance suite asks of them: OpenAPI, explain, defaults, status, versions, watch."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from tests.api.conftest import Cluster
from tests.api.raw import Http

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FOO = yaml.safe_load("""
description: Foo CRD for Testing
type: object
properties:
  spec:
    type: object
    description: Specification of Foo
    properties:
      bars:
        description: List of Bars and their specs.
        type: array
        items:
          type: object
          required: [name]
          properties:
            name: {description: Name of Bar., type: string}
            age: {description: Age of Bar., type: string}
            feeling: {description: Whether Bar is feeling great., type: string, enum: [Great, Down]}
            bazs: {description: List of Bazs., items: {type: string}, type: array}
  status:
    description: Status of Foo
    type: object
    properties:
      bars:
        description: List of Bars and their statuses.
        type: array
        items:
          type: object
          properties:
            name: {description: Name of Bar., type: string}
            available: {description: Whether the Bar is installed., type: boolean}
            quxType: {description: Indicates to external qux type., pattern: in-tree|out-of-tree, type: string}
""")
EMPTY: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


def define(http: Http, plural: str, schema: dict[str, Any], *versions: str, **more: Any) -> dict[str, Any]:
    """A definition whose first version is the stored one."""
    group = f"{plural}.crd.example.com"
    served = [
        {
            "name": name, "served": True, "storage": number == 0, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}}, **more,
        }
        for number, name in enumerate(versions or ("v1",))
    ]  # fmt: skip
    names = {"plural": plural, "kind": plural.title()[:-1]}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": served}
    return http.post(DEFINITIONS, {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}).ok(201)


def published(http: Http, plural: str, version: str) -> dict[str, Any] | None:
    """The definition in /openapi/v2 without what every resource has."""
    name = f"com.example.crd.{plural}.{version}.{plural.title()[:-1]}"
    found = http.get("/openapi/v2").ok()["definitions"].get(name)
    if found is not None:
        for field in ("apiVersion", "kind", "metadata"):
            found.get("properties", {}).pop(field, None)
        found.pop("x-kubernetes-group-version-kind")
    return found


def test_a_schema_is_published_and_explained(http: Http, cluster: Cluster):
    define(http, "foos", FOO)
    assert published(http, "foos", "v1") == FOO
    told = cluster.kubectl("explain", "foos")
    assert "Foo CRD for Testing" in told
    assert "APIVersion defines" in told
    assert "Standard object's metadata" in cluster.kubectl("explain", "foos.metadata")
    assert "[]Object" in cluster.kubectl("explain", "foos.spec")
    assert "List of Bazs" in cluster.kubectl("explain", "foos.spec.bars")
    assert 'field "bars2" does not exist' in cluster.refused("explain", "foos.spec.bars2")


def test_kubectl_checks_against_the_schema(http: Http, cluster: Cluster):
    define(http, "checks", FOO)
    head = '"kind":"Check","apiVersion":"checks.crd.example.com/v1","metadata":{"name":"x"}'
    cluster.kubectl("apply", "-f", "-", stdin=f'{{{head},"spec":{{"bars":[{{"name":"a"}}]}}}}')
    cluster.kubectl("delete", "checks", "x")
    wrong = cluster.refused("create", "-f", "-", stdin=f'{{{head},"spec":{{"foo":true}}}}')
    assert 'unknown field "spec.foo"' in wrong
    wrong = cluster.refused("create", "-f", "-", stdin=f'{{{head},"spec":{{"bars":[{{"age":"10"}}]}}}}')
    assert "spec.bars[0].name: Required value" in wrong
    wrong = cluster.refused(
        "create", "-f", "-", stdin=f'{{{head},"spec":{{"bars":[{{"name":"a","feeling":"x"}}]}}}}'
    )
    assert 'Unsupported value: "x"' in wrong


@pytest.mark.parametrize(
    ("plural", "schema"),
    [
        ("frees", EMPTY),
        ("nesteds", {"type": "object", "properties": {"spec": {**EMPTY, "description": "nested for Testing"}}}),
    ],
)
def test_unknown_fields_are_kept_where_the_schema_says_so(
    http: Http, cluster: Cluster, plural: str, schema: dict[str, Any]
):
    define(http, plural, schema)
    kind = plural.title()[:-1]
    head = f'"kind":"{kind}","apiVersion":"{plural}.crd.example.com/v1","metadata":{{"name":"x"}}'
    cluster.kubectl("apply", "-f", "-", stdin=f'{{{head},"spec":{{"a":null,"b":[{{"c":"d"}}]}}}}')
    assert json.loads(cluster.kubectl("get", plural, "x", "-o", "json"))["spec"]["b"] == [{"c": "d"}]
    assert kind in cluster.kubectl("explain", plural)
    assert published(http, plural, "v1") is not None


def test_versions_come_go_and_are_renamed_in_what_is_published(http: Http):
    made = define(http, "multis", FOO, "v2", "v3")
    path = f"{DEFINITIONS}/{made['metadata']['name']}"
    assert published(http, "multis", "v3") == FOO
    rename = [{"op": "replace", "path": "/spec/versions/1/name", "value": "v4"}]
    http.patch(path, rename, "application/json-patch+json").ok()
    assert published(http, "multis", "v4") == FOO
    assert published(http, "multis", "v3") is None
    unserve = [{"op": "replace", "path": "/spec/versions/1/served", "value": False}]
    http.patch(path, unserve, "application/json-patch+json").ok()
    assert published(http, "multis", "v4") is None
    assert published(http, "multis", "v2") == FOO
    http.get("/apis/multis.crd.example.com/v4/multis").refused(404, "NotFound")
    http.delete(path).ok()
    http.get("/apis/multis.crd.example.com/v2/multis")


def test_defaults_are_applied_on_writing_and_on_reading_what_was_stored_before(http: Http):
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"a": {**text, "default": "A"}, "b": text}}
    made = define(http, "defaults", schema)
    place = "/apis/defaults.crd.example.com/v1/namespaces/default/defaults"
    assert http.post(place, {"metadata": {"name": "x"}}).ok(201)["a"] == "A"
    changed = copy.deepcopy(schema)
    changed["properties"] = {"a": text, "b": {**text, "default": "B"}}
    patch = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": changed}]
    http.patch(f"{DEFINITIONS}/{made['metadata']['name']}", patch, "application/json-patch+json").ok()
    found = http.get(f"{place}/x").ok()
    assert (found["a"], found["b"]) == ("A", "B")
    http.delete(f"{place}/x").ok()
    assert "a" not in http.post(place, {"metadata": {"name": "x"}}).ok(201)


def test_the_status_of_a_definition_is_read_and_written_by_others_too(http: Http, cluster: Cluster):
    made = define(http, "statuses", FOO)
    path = f"{DEFINITIONS}/{made['metadata']['name']}/status"

    def conditions() -> dict[str, str]:
        return {one["type"]: one["status"] for one in http.get(path).ok()["status"].get("conditions", ())}

    cluster.wait(lambda: conditions() == {"NamesAccepted": "True", "Established": "True"})
    present = http.get(path).ok()
    mine = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    present["status"]["conditions"].append({**mine, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    http.put(path, present).ok()
    assert conditions() == {"NamesAccepted": "True", "Established": "True", "StatusUpdate": "True"}


def test_a_name_that_is_taken_is_not_accepted_until_it_is_free(http: Http, cluster: Cluster):
    first = define(http, "takens", FOO)
    other = copy.deepcopy(first["spec"])
    other["names"] = {"plural": "others", "singular": "other", "kind": "Taken"}
    second = http.post(DEFINITIONS, {"metadata": {"name": "others.takens.crd.example.com"}, "spec": other}).ok(201)
    path = f"{DEFINITIONS}/{second['metadata']['name']}"

    def accepted() -> tuple[str, str]:
        found = http.get(path).ok().get("status", {}).get("conditions") or [{"status": "", "reason": ""}]
        return found[0]["status"], found[0]["reason"]

    cluster.wait(lambda: accepted() == ("False", "KindConflict"))
    http.get("/apis/takens.crd.example.com/v1/others").refused(404, "NotFound")
    http.delete(f"{DEFINITIONS}/{first['metadata']['name']}").ok()
    cluster.wait(lambda: accepted() == ("True", "NoConflicts"))
    http.get("/apis/takens.crd.example.com/v1/others").ok()


def test_a_definition_waits_for_its_objects_and_holds_up_nobody(http: Http, cluster: Cluster):
    made = define(http, "waits", FOO)
    place = "/apis/waits.crd.example.com/v1/namespaces/default/waits"
    http.post(place, {"metadata": {"name": "x", "finalizers": ["example.com/mine"]}}).ok(201)
    path = f"{DEFINITIONS}/{made['metadata']['name']}"
    cluster.wait(lambda: http.get(path).ok()["metadata"].get("finalizers"))
    http.delete(path).ok()
    define(http, "laters", FOO)
    cluster.wait(
        lambda: "conditions" in http.get(f"{DEFINITIONS}/laters.laters.crd.example.com").ok().get("status", {})
    )
    assert http.get(path).ok()["metadata"]["deletionTimestamp"]
    http.patch(f"{place}/x", {"metadata": {"finalizers": None}}).ok()
    cluster.wait(lambda: http.get(path).code == 404)
    assert http.get(place).code == 404


def test_objects_are_selected_by_fields_and_shown_in_columns(http: Http, cluster: Cluster):
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"colour": {"type": "string"}}},
            "status": EMPTY,
        },
    }
    columns = [
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    ]
    define(
        http, "shirts", schema, selectableFields=[{"jsonPath": ".spec.colour"}], additionalPrinterColumns=columns
    )
    place = "/apis/shirts.crd.example.com/v1/namespaces/default/shirts"
    for name, colour in (("a", "red"), ("b", "blue")):
        http.post(place, {"metadata": {"name": name}, "spec": {"colour": colour}}).ok(201)
    ready = {"status": {"conditions": [{"type": "Old", "status": "False"}, {"type": "Ready", "status": "True"}]}}
    http.patch(f"{place}/a/status", ready).ok()
    lines = cluster.kubectl("get", "shirts", "-n", "default", "--field-selector", "spec.colour=red").splitlines()
    assert [line.split() for line in lines] == [["NAME", "COLOUR", "READY"], ["a", "red", "True"]]
    http.get(f"{place}?fieldSelector=spec.size%3D1").refused(400, "BadRequest")
