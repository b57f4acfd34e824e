"""JSON Patch and JSON Merge Patch, by the examples of their RFCs."""

from typing import Any

import pytest

from minikube.schema.patch import PatchError, json_patch, merge_patch

NO_SEVENTH = "Unable to access invalid index: 7: invalid index referenced"


@pytest.mark.parametrize(
    ("doc", "operation", "result"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "qux"}, {"foo": "bar", "baz": "qux"}),
        ({"foo": ["a", "c"]}, {"op": "add", "path": "/foo/1", "value": "b"}, {"foo": ["a", "b", "c"]}),
        ({"foo": ["a"]}, {"op": "add", "path": "/foo/-", "value": ["b"]}, {"foo": ["a", ["b"]]}),
        ({"a": 1, "b": 2}, {"op": "remove", "path": "/b"}, {"a": 1}),
        ({"a": [1, 2, 3]}, {"op": "remove", "path": "/a/1"}, {"a": [1, 3]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": None}, {"a": None}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2]}, {"op": "copy", "from": "/a/0", "path": "/a/-"}, {"a": [1, 2, 1]}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
    ],
)
def test_an_operation_does_what_the_rfc_says(doc: Any, operation: dict[str, Any], result: Any) -> None:
    assert json_patch(doc, [operation]) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope/x", "value": 1},
        {"op": "replace", "path": "/l/2", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "move", "from": "/l", "path": "/l/0"},
        {"op": "test", "path": "/l/0", "value": True},
        {"op": "jump", "path": "/l"},
        {"op": "add"},
        {"op": "remove"},
        "remove",
    ],
)
def test_an_operation_that_does_not_apply_changes_nothing(operation: Any) -> None:
    doc = {"l": [1]}
    with pytest.raises(PatchError):
        json_patch(doc, [{"op": "add", "path": "/l/-", "value": 2}, operation])
    assert doc == {"l": [1]}


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        ("test /a", "testing value /a failed: test failed"),
        ("test /x/y", "test operation does not apply: is missing path: /x/y: missing value"),
        ("add /x/y", 'add operation does not apply: doc is missing path: "/x/y": missing value'),
        ("remove /x", "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value"),
        ("remove /l/7", f"error in remove for path: '/l/7': {NO_SEVENTH}"),
        ("add /l/7", f"error in add for path: '/l/7': value was not a proper array index: '7': {NO_SEVENTH}"),
        ("replace /l/7", "replace operation does not apply: doc is missing key: /l/7: missing value"),
        ("move /a /x/y", "move operation does not apply: doc is missing from path: /x/y: missing value"),
        ("copy /x/y /a", "copy operation does not apply: doc is missing destination path: /x/y: missing value"),
        ("jump /a", "Unexpected kind: jump"),
        ("remove", "remove operation failed to decode path: missing value"),
    ],
)
def test_what_does_not_apply_is_worded_as_upstream_words_it(operation: str, says: str) -> None:
    words = dict(zip(("op", "path", "from"), operation.split(), strict=False))
    with pytest.raises(PatchError) as refused:
        json_patch({"a": 1, "l": [1]}, [{**words, "value": 2}])
    assert str(refused.value) == says


def test_what_is_missing_may_be_replaced_and_tested_for_null() -> None:
    operations = [{"op": "test", "path": "/a", "value": None}, {"op": "replace", "path": "/a", "value": 1}]
    assert json_patch({}, operations) == {"a": 1}


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ],
)
def test_a_merge_patch_merges_as_the_rfc_says(doc: Any, patch: Any, result: Any) -> None:
    assert merge_patch(doc, patch) == result
