"""api-machinery/crd-openapi: schemas of custom resources as they are published, and what kubectl makes of them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from tests.api.raw import JSON_PATCH
from tests.conformance.definitions import CRD, defined, definition, version
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space

pytestmark = pytest.mark.conformance
BAR = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"description": "Name of Bar.", "type": "string"},
        "age": {"description": "Age of Bar.", "type": "string"},
        "feeling": {"description": "Whether Bar is feeling great.", "type": "string", "enum": ["Great", "Down"]},
        "bazs": {"description": "List of Bazs.", "type": "array", "items": {"type": "string"}},
    },
}
STATE = {
    "type": "object",
    "properties": {
        "name": {"description": "Name of Bar.", "type": "string"},
        "available": {"description": "Indicates if the Bar is available.", "type": "boolean"},
    },
}
FOO: Obj = {
    "description": "Foo CRD for Testing",
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "description": "Specification of Foo",
            "properties": {"bars": {"description": "List of Bars and their specs.", "type": "array", "items": BAR}},
        },
        "status": {
            "description": "Status of Foo",
            "type": "object",
            "properties": {
                "bars": {"description": "List of Bars and their statuses.", "type": "array", "items": STATE}
            },
        },
    },
}
DUMMY = {"dummy": {"description": "Dummy property.", "type": "string"}}
WALDO: Obj = {
    "description": "Waldo CRD for Testing",
    "type": "object",
    "properties": {
        "spec": {"description": "Specification of Waldo", "type": "object", "properties": DUMMY},
        "status": {
            "description": "Status of Waldo",
            "type": "object",
            "properties": {
                "bars": {"description": "List of Bars and their statuses.", "type": "array", "items": STATE}
            },
        },
    },
}
NESTED: Obj = {
    "description": "preserve-unknown-properties in nested field for Testing",
    "type": "object",
    "properties": {
        "spec": {
            "description": "Specification of Waldo",
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": DUMMY,
        },
        "status": WALDO["properties"]["status"],
    },
}
ROOT: Obj = {**WALDO, "description": "preserve-unknown-properties at root for Testing"}
ROOT |= {"x-kubernetes-preserve-unknown-fields": True}


def published(space: Space, group: str, version: str, kind: str = "Foo") -> Any:
    """The definition in /openapi/v2, less what the server adds to a schema; None if there is none."""
    reverse = ".".join(reversed(group.rstrip("/").split(".")))
    found = space.http.get("/openapi/v2").ok()["definitions"].get(f"{reverse}.{version}.{kind}")
    if found is None:
        return None
    found = copy.deepcopy(found)
    found.pop("x-kubernetes-group-version-kind")
    for name in ("metadata", "apiVersion", "kind"):
        found.get("properties", {}).pop(name, None)
    return found


def is_published(space: Space, group: str, version: str, schema: Obj = FOO, kind: str = "Foo") -> None:
    space.wait(lambda: published(space, group, version, kind) == schema)


def is_gone(space: Space, group: str, version: str) -> None:
    space.wait(lambda: published(space, group, version) is None)


def created_and_applied(space: Space, group: str, fields: str) -> None:
    body = f'{{"kind":"Foo","apiVersion":"{group}v1","metadata":{{"name":"test-cr"}},{fields}}}'
    for verb in ("create", "apply"):
        space.kubectl(verb, "-f", "-", stdin=body)
        space.kubectl("delete", f"foos.{group.rstrip('/')}", "test-cr")


def refused(space: Space, group: str, fields: str, said: str) -> None:
    body = f'{{"kind":"Foo","apiVersion":"{group}v1","metadata":{{"name":"test-cr"}},{fields}}}'
    for verb in ("create", "apply"):
        done = space.try_kubectl(verb, "-f", "-", stdin=body)
        assert done.returncode != 0
        assert said in done.stderr


def explains(space: Space, what: str, pattern: str) -> None:
    text = space.kubectl("explain", what)
    assert re.search(pattern, text, re.DOTALL), text


@row("CustomResourcePublishOpenAPI works for CRD with validation schema")
def test_kubectl_knows_a_schema(space: Space):
    with defined(space, definition(space, "Foo", version("v1", FOO))) as group:
        is_published(space, group, "v1")
        created_and_applied(space, group, '"spec":{"bars":[{"name":"test-bar"}]}')
        refused(
            space,
            group,
            '"spec":{"bars":[{"name":"test-bar", "feeling":"NonExistentValue"}]}',
            'Unsupported value: "NonExistentValue"',
        )
        refused(space, group, '"spec":{"foo":true}', 'unknown field "spec.foo"')
        refused(space, group, '"spec":{"bars":[{"age":"10"}]}', "spec.bars[0].name: Required value")
        foos = f"foos.{group.rstrip('/')}"
        explains(
            space,
            foos,
            "DESCRIPTION:.*Foo CRD for Testing.*FIELDS:.*apiVersion.*<string>.*APIVersion defines.*spec.*<Object>.*"
            "Specification of Foo",
        )
        explains(
            space,
            f"{foos}.metadata",
            "DESCRIPTION:.*Standard object's metadata.*FIELDS:.*creationTimestamp.*<string>.*CreationTimestamp is a",
        )
        explains(
            space,
            f"{foos}.spec",
            r"DESCRIPTION:.*Specification of Foo.*FIELDS:.*bars.*<\[\]Object>.*List of Bars and their specs",
        )
        explains(
            space,
            f"{foos}.spec.bars",
            r"(FIELD|RESOURCE):.*bars.*<\[\]Object>.*DESCRIPTION:.*List of Bars and their specs.*FIELDS:.*bazs.*"
            r"<\[\]string>.*List of Bazs.*name.*<string>.*Name of Bar",
        )
        done = space.try_kubectl("explain", f"{foos}.spec.bars2")
        assert done.returncode != 0
        assert 'field "bars2" does not exist' in done.stderr
    is_gone(space, group, "v1")


@pytest.mark.parametrize(
    ("schema", "shown", "fields", "explained"),  # in /openapi/v2 kubectl would take any property for all there are
    [
        pytest.param(
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            {"type": "object"},
            '"a":{"b":[{"c":"d"}]}',
            "DESCRIPTION:.*<empty>",
            marks=row("CustomResourcePublishOpenAPI works for CRD without validation schema"),
            id="none",
        ),
        pytest.param(
            ROOT,
            {"type": "object"},
            '"a":{"b":[{"c":"d"}]}',
            "KIND:.*Foo",
            marks=row("CustomResourcePublishOpenAPI works for CRD preserving unknown fields at the schema root"),
            id="root",
        ),
        pytest.param(
            NESTED,
            None,
            '"spec":{"a":null,"b":[{"c":"d"}]}',
            "DESCRIPTION:.*preserve-unknown-properties in nested field for Testing",
            marks=row("CustomResourcePublishOpenAPI works for CRD preserving unknown fields in an embedded object"),
            id="nested",
        ),
    ],
)
def test_kubectl_lets_unknown_fields_through(
    space: Space, schema: Obj, shown: Obj | None, fields: str, explained: str
):
    with defined(space, definition(space, "Foo", version("v1", schema))) as group:
        space.wait(lambda: shown in (None, published(space, group, "v1")) and published(space, group, "v1"))
        created_and_applied(space, group, fields)
        explains(space, f"foos.{group.rstrip('/')}", explained)
    is_gone(space, group, "v1")


@row("CustomResourcePublishOpenAPI works for multiple CRDs of different groups")
def test_definitions_of_several_groups_are_published(space: Space):
    one = definition(space, "Foo", version("v1", FOO))
    other = definition(space, "Waldo", version("v1beta1", WALDO), group=f"{space.name}-waldo.example.com")
    with defined(space, one) as group, defined(space, other) as waldos:
        is_published(space, group, "v1")
        is_published(space, waldos, "v1beta1", WALDO, "Waldo")


@row("CustomResourcePublishOpenAPI works for multiple CRDs of same group but different versions")
def test_several_versions_of_a_group_are_published(space: Space):
    two = (version("v2", FOO), version("v3", FOO, storage=False))
    with defined(space, definition(space, "Foo", *two)) as group:
        is_published(space, group, "v2")
        is_published(space, group, "v3")
    one, other = definition(space, "Foo", version("v4", FOO)), definition(space, "Waldo", version("v5", WALDO))
    space.wait(lambda: space.gone(CRD, one["metadata"]["name"]))
    with defined(space, one) as group, defined(space, other):
        is_published(space, group, "v4")
        is_published(space, group, "v5", WALDO, "Waldo")


@row("CustomResourcePublishOpenAPI works for multiple CRDs of same group and version but different kinds")
def test_several_kinds_of_a_version_are_published(space: Space):
    one, other = definition(space, "Foo", version("v6", FOO)), definition(space, "Waldo", version("v6", WALDO))
    with defined(space, one) as group, defined(space, other):
        is_published(space, group, "v6")
        is_published(space, group, "v6", WALDO, "Waldo")


@row("CustomResourcePublishOpenAPI updates the published spec when one version gets renamed")
def test_a_renamed_version_is_published_by_its_new_name(space: Space):
    wanted = definition(space, "Foo", version("v2", FOO), version("v3", FOO, storage=False))
    with defined(space, wanted) as group:
        is_published(space, group, "v3")
        path = "/spec/versions/1/name"
        patch = [{"op": "test", "path": path, "value": "v3"}, {"op": "replace", "path": path, "value": "v4"}]
        space.patch(CRD, wanted["metadata"]["name"], patch, type=JSON_PATCH)
        is_published(space, group, "v4")
        is_gone(space, group, "v3")
        is_published(space, group, "v2")


@row("CustomResourcePublishOpenAPI removes definition from spec when one version gets changed to not be served")
def test_a_version_that_is_not_served_is_not_published(space: Space):
    wanted = definition(space, "Foo", version("v5", FOO), version("v6alpha1", FOO, storage=False))
    with defined(space, wanted) as group:
        is_published(space, group, "v6alpha1")

        def put() -> Obj:
            present = space.get(CRD, wanted["metadata"]["name"])
            present["spec"]["versions"][1]["served"] = False
            return space.update(present)

        space.wait(put)
        is_gone(space, group, "v6alpha1")
        is_published(space, group, "v5")


def test_each_version_has_an_openapi_v3_document(space: Space):
    with defined(space, definition(space, "Foo", version("v1", FOO))) as group:
        paths = space.http.get("/openapi/v3").ok()["paths"]
        document = space.http.get(paths[f"apis/{group}v1"]["serverRelativeURL"]).ok()
        assert "Specification of Foo" in json.dumps(document)
