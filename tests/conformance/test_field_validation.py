"""api-machinery/field-validation: what fieldValidation=Strict refuses, in the words clients look for."""

from __future__ import annotations

import pytest

from tests.api.raw import APPLY, Answer
from tests.conformance.definitions import ANYTHING, defined, definition, version
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance
PORT = {
    "type": "object",
    "required": ["containerPort", "protocol"],
    "properties": {
        "containerPort": {"type": "integer", "format": "int32"},
        "hostIP": {"type": "string"},
        "hostPort": {"type": "integer", "format": "int32"},
        "name": {"type": "string"},
        "protocol": {"type": "string"},
    },
}
FIELDS: Obj = {
    "foo": {"type": "string"},
    "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
    "ports": {
        "type": "array",
        "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
        "x-kubernetes-list-type": "map",
        "items": PORT,
    },
}
TEMPLATE = {
    "type": "object",
    "x-kubernetes-embedded-resource": True,
    "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
        "spec": {"type": "object"},
    },
}


def schema(**spec: Obj | bool) -> Obj:
    properties = {**FIELDS, **{name: field for name, field in spec.items() if isinstance(field, dict)}}
    flags = {name.replace("_", "-"): flag for name, flag in spec.items() if isinstance(flag, bool)}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties, **flags}}}


def applied(space: Space, schema: Obj, text: str) -> Answer:
    """The YAML (its first three lines are given) applied strictly, to a CRD of two versions."""
    versions = (version("v1beta1", schema, storage=False), version("v1beta2", schema))
    with defined(space, definition(space, "Noxu", *versions, scope="Cluster")) as group:
        body = f"\napiVersion: {group}v1beta1\nkind: Noxu\nmetadata:\n{text}"
        query = {"fieldManager": "field_validation_mgr", "fieldValidation": "Strict"}
        kind = f"{group}v1beta1/Noxu"
        answer = space.http.patch(space.path(kind, "mytest", **query), body.encode(), type=APPLY)
        if answer.code == 201:
            space.patch(kind, "mytest", {"metadata": {"finalizers": []}})
        return answer


VALID = """\
  name: mytest
  finalizers:
  - test-finalizer
spec:
  foo: foo1
  cronSpec: "* * * * */5"
  ports:
  - name: x
    containerPort: 80
    protocol: TCP"""


@row("FieldValidation should create/apply a valid CR for CRD with validation schema")
def test_a_valid_object_is_applied(space: Space):
    applied(space, schema(), VALID).ok(201)


@row("FieldValidation should create/apply a CR with unknown fields for CRD with no validation schema")
def test_without_schema_every_field_is_known(space: Space):
    assert applied(space, ANYTHING, VALID.replace("foo: foo1", "unknown: uk1")).ok(201)["spec"]["unknown"] == "uk1"


@row("FieldValidation should create/apply an invalid CR with extra properties for CRD with validation schema")
def test_a_field_beside_the_schema_is_refused(space: Space):
    answer = applied(space, schema(), VALID.replace("spec:", "unknownField: unknown\nspec:"))
    assert ".unknownField: field not declared in schema" in answer.body.decode()


@row("FieldValidation should detect unknown metadata fields in both the root and embedded object of a CR")
def test_unknown_metadata_is_refused_at_the_root_and_inside(space: Space):
    inside = """\
spec:
  template:
    apiversion: foo/v1
    kind: Sub
    metadata:
        unknownSubMeta: unknown
        name: subobject
        namespace: default"""
    text = VALID.replace("spec:", inside).replace("  finalizers", "  unknownMeta: unknown\n  finalizers")
    answer = applied(space, schema(template=TEMPLATE, **{"x-kubernetes-preserve-unknown-fields": True}), text)
    assert ".spec.template.metadata.unknownSubMeta: field not declared in schema" in answer.body.decode()


@row("FieldValidation should detect duplicates in a CR when preserving unknown fields")
def test_a_field_set_twice_is_refused_by_line(space: Space):
    text = VALID.replace("  foo: foo1", "  unknown: uk1\n  foo: foo1\n  foo: foo2")
    answer = applied(space, schema(**{"x-kubernetes-preserve-unknown-fields": True}), text)
    assert r"line 11: key \"foo\" already set in map" in answer.body.decode()


DEPLOYMENT = """{
    "apiVersion": "apps/v1", "kind": "Deployment",
    "metadata": {"name": "my-dep", "labels": {"app": "nginx"} METADATA},
    "spec": {
        SPEC "selector": {"matchLabels": {"app": "nginx"}},
        "template": {
            "metadata": {"labels": {"app": "nginx"}},
            "spec": {"containers": [{"name": "nginx", "image": "nginx:latest"}]}
        }
    }
}"""


@pytest.mark.parametrize(
    ("metadata", "spec", "said"),
    [
        pytest.param(
            "",
            '"unknownField": "foo", "replicas": 2, "replicas": 3,',
            'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
            marks=row("FieldValidation should detect unknown and duplicate fields of a typed object"),
            id="fields",
        ),
        pytest.param(
            ', "unknownMeta": "foo"',
            "",
            'strict decoding error: unknown field "metadata.unknownMeta"',
            marks=row("FieldValidation should detect unknown metadata fields of a typed object"),
            id="metadata",
        ),
    ],
)
def test_a_built_in_object_has_no_fields_of_its_own(space: Space, metadata: str, spec: str, said: str):
    body = DEPLOYMENT.replace("METADATA", metadata).replace("SPEC", spec).encode()
    query = {"fieldManager": "field_validation_mgr", "fieldValidation": "Strict"}
    answer = space.http.post(space.path("apps/v1/Deployment", **query), body)
    assert said in answer.refused(400, "BadRequest")
