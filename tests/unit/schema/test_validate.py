"""Validation of custom resources, in upstream's words."""

from typing import Any

import pytest

from minikube.schema.structure import compile
from minikube.schema.validate import validate


def told(schema: dict[str, Any], value: Any) -> list[str]:
    structure = compile({"type": "object", "properties": {"x": schema}})
    return [str(error) for error in validate({"x": value}, structure, "")]


@pytest.mark.parametrize(
    ("schema", "value", "error"),
    [
        ({"type": "integer"}, "a", 'x: Invalid value: "string": x in body must be of type integer: "string"'),
        ({"type": "string"}, 1, 'x: Invalid value: "integer": x in body must be of type string: "integer"'),
        ({"type": "array"}, {}, 'x: Invalid value: "object": x in body must be of type array: "object"'),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'x: Invalid value: "boolean": x in body must be of type integer,string: "boolean"',
        ),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'x: Unsupported value: "c": supported values: "a", "b"'),
        (
            {"type": "integer", "minimum": 2},
            1,
            "x: Invalid value: 1: x in body should be greater than or equal to 2",
        ),
        (
            {"type": "number", "maximum": 2, "exclusiveMaximum": True},
            2,
            "x: Invalid value: 2: x in body should be less than 2",
        ),
        ({"type": "integer", "multipleOf": 3}, 4, "x: Invalid value: 4: x in body should be a multiple of 3"),
        ({"type": "string", "pattern": "^a$"}, "b", "x: Invalid value: \"b\": x in body should match '^a$'"),
        ({"type": "string", "maxLength": 1}, "ab", "x: Too long: may not be more than 1 bytes"),
        (
            {"type": "string", "minLength": 3},
            "ab",
            'x: Invalid value: "ab": x in body should be at least 3 chars long',
        ),
        ({"type": "array", "maxItems": 1}, [1, 2], "x: Too many: 2: must have at most 1 items"),
        (
            {"type": "string", "format": "ipv4"},
            "a",
            'x: Invalid value: "a": x in body must be of type ipv4: "a"',
        ),
        ({"type": "object", "required": ["y"], "properties": {"y": {}}}, {}, "x.y: Required value"),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            'x[1]: Duplicate value: "a"',
        ),
        (
            {
                "type": "array",
                "items": {"type": "object"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
            [{"k": 1}, {"k": 1}],
            'x[1]: Duplicate value: {"k":1}',
        ),
    ],
)
def test_what_the_schema_forbids_is_told_as_upstream_tells_it(
    schema: dict[str, Any], value: Any, error: str
) -> None:
    assert told(schema, value) == [error]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 2.0),
        ({"type": "string", "nullable": True}, None),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        ({"type": "string", "format": "unheard-of"}, "x"),
        ({"type": "string", "pattern": "[[:alpha:]]+\\d"}, "ab1"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "a"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"}, {"a": 1}),
        ({"not": {"required": ["a"]}, "type": "object"}, {"b": 1}),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00.5Z"),
        ({"type": "string", "format": "duration"}, "1h30m"),
    ],
)
def test_what_the_schema_allows_passes(schema: dict[str, Any], value: Any) -> None:
    assert told(schema, value) == []


def test_alternatives_that_fit_too_often_are_refused() -> None:
    schema = {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert told(schema, {"a": 1, "b": 2}) == [
        'x: Invalid value: "object": x in body must validate one and only one schema (oneOf). '
        "Found 2 valid alternatives"
    ]


def test_metadata_is_not_the_schemas_business() -> None:
    structure = compile({"type": "object", "properties": {}})
    assert not list(validate({"metadata": {"name": 1}}, structure, ""))


def test_an_update_may_keep_what_was_already_wrong_but_not_add_to_it() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    structure = compile({"type": "object", "properties": {"x": schema}})
    old = {"x": {"a": "wrong", "b": 1}}
    assert not list(validate({"x": {"a": "wrong", "b": 2}}, structure, "", old=old))
    assert [error.path for error in validate({"x": {"a": "wrong", "b": "too"}}, structure, "", old=old)] == ["x.b"]


def test_kept_elements_of_keyed_lists_are_found_again_by_their_keys() -> None:
    items = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 1}}}
    schema = {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    structure = compile({"type": "object", "properties": {"x": schema}})
    old = {"x": [{"k": "a", "v": "long"}]}
    new = {"x": [{"k": "b", "v": "long"}, {"k": "a", "v": "long"}]}
    assert [error.path for error in validate(new, structure, "", old=old)] == ["x[0].v"]
