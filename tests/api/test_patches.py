"""Patches that cannot be applied: codes and words of kube-apiserver's patch handler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.raw import APPLY, JSON_PATCH, MERGE, STRATEGIC, Http

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PATH = f"{DEPLOYMENTS}/patched"
IGNORE, STRICT = "?fieldValidation=Ignore", "?fieldValidation=Strict"
CANNOT_APPLY = "the server rejected our request due to an error in our request"
INTO_MAP = "Go value of type map[string]interface {}"
NO_KEY = {"spec": {"template": {"spec": {"containers": [{"image": "b", "tty": True}]}}}}


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Iterator[Http]:
    made = Http(shared.kubeconfig)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    made.post(DEPLOYMENTS, {"metadata": {"name": "patched"}, "spec": spec}).ok(201)
    yield made
    made.delete(PATH).ok()


REFUSED: list[tuple[str, Any, str, int, str, str]] = [
    (JSON_PATCH, [{"op": "test", "path": "/spec/replicas", "value": 9}], "", 422, "Invalid", CANNOT_APPLY),
    (JSON_PATCH, [{"op": "remove", "path": "/metadata/nothing"}], "", 422, "Invalid", CANNOT_APPLY),
    (JSON_PATCH, [{"op": "add", "path": "/spec/no/way", "value": 1}], "", 422, "Invalid", CANNOT_APPLY),
    (JSON_PATCH, [{"op": "jump", "path": "/spec"}], "", 422, "Invalid", CANNOT_APPLY),
    (JSON_PATCH, [{"path": "/spec"}], "", 422, "Invalid", CANNOT_APPLY),
    (
        JSON_PATCH, {"op": "add"}, "", 400, "BadRequest",
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    ),
    (
        JSON_PATCH, {"op": "add"}, IGNORE, 400, "BadRequest",
        "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ),
    (
        JSON_PATCH, ["x"], "", 400, "BadRequest",
        "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp",
    ),
    (
        JSON_PATCH, [{"op": 1}], "", 400, "BadRequest",
        "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
    ),
    (
        JSON_PATCH, [{"op": "remove", "path": "/a"}] * 10_001, "", 413, "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    ),
    (JSON_PATCH, b'[{"op":', "", 400, "BadRequest", "error decoding patch: unexpected end of JSON input"),
    (
        MERGE, b'{"a" 1}', "", 400, "BadRequest",
        "error decoding patch: invalid character '1' after object key",
    ),
    (
        STRATEGIC, b'{"a": [1 2]}', "", 400, "BadRequest", "invalid character '2' after array element",
    ),
    (MERGE, [], "", 400, "BadRequest", f"error decoding patch: json: cannot unmarshal array into {INTO_MAP}"),
    (MERGE, "x", IGNORE, 400, "BadRequest", "Invalid JSON Patch"),
    (STRATEGIC, [], "", 400, "BadRequest", f"json: cannot unmarshal array into {INTO_MAP}"),
    (
        APPLY, [], "?fieldManager=m", 400, "BadRequest",
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into "
        + INTO_MAP,
    ),
    (
        STRATEGIC, {"spec": {"replicas": "many"}}, "", 422, "Invalid",
        ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:many]]": unrecognized type: int32',
    ),
    (
        STRATEGIC, {"metadata": {"labels": {"a": 1}}}, "", 422, "Invalid",
        ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:map[a:1]]]": '
        "cannot convert int64 to string",
    ),
    (
        STRATEGIC, NO_KEY, "", 400, "BadRequest",
        "map: map[image:b tty:true] does not contain declared merge key: name",
    ),
    (
        STRATEGIC, {"spec": {"$patch": "jump"}}, "", 400, "BadRequest",
        "unknown patch type: jump in map: map[$patch:jump]",
    ),
    (
        STRATEGIC, {"spec": {"$retainKeys": ["a"], "replicas": 1}}, "", 400, "BadRequest",
        "patch content doesn't match retainKeys list",
    ),
    (
        STRATEGIC, {"spec": {"unknown": 1}}, STRICT, 422, "Invalid",
        ' "" is invalid: patch: Invalid value: "map[spec:map[unknown:1]]": strict decoding error: '
        'unknown field "spec.unknown"',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("type", "patch", "query", "code", "reason", "message"), REFUSED)
def test_a_patch_that_cannot_be_applied(
    http: Http, type: str, patch: Any, query: str, code: int, reason: str, message: str
):
    assert http.patch(PATH + query, patch, type).refused(code, reason) == message


@pytest.mark.parametrize("type", [MERGE, JSON_PATCH])
def test_what_a_patch_made_of_another_type_is_shown_whole(http: Http, type: str):
    operation = [{"op": "replace", "path": "/spec/replicas", "value": "many"}]
    told = http.patch(PATH, operation if type == JSON_PATCH else {"spec": {"replicas": "many"}}, type)
    message = told.refused(422, "Invalid")
    assert message.startswith(' "" is invalid: patch: Invalid value: "{')
    assert message.endswith(
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


def test_operations_with_fields_that_mean_nothing_are_told_of(http: Http):
    patch = [{"op": "test", "path": "/spec/replicas", "value": 0, "why": "not"}]
    said = http.patch(PATH, patch, JSON_PATCH)
    said.ok()
    assert said.warnings == ['299 - "json patch unknown field \\"[0].why\\""']
    refused = http.patch(PATH + STRICT, patch, JSON_PATCH).refused(422, "Invalid")
    assert refused.endswith('strict decoding error: json patch unknown field "[0].why"')
    twice = b'[{"op": "test", "op": "test", "path": "/spec/replicas", "value": 0}]'
    assert http.patch(PATH, twice, JSON_PATCH).warnings == ['299 - "json patch duplicate field \\"[0].op\\""']


def test_a_patch_of_nothing_changes_nothing(http: Http):
    before = http.get(PATH).json["metadata"]["resourceVersion"]
    for type in (JSON_PATCH, MERGE, STRATEGIC):
        assert (
            http.patch(PATH, None if type == APPLY else b"null", type).ok()["metadata"]["resourceVersion"] == before
        )


def test_kubectl_says_that_the_request_is_invalid(shared: Cluster, http: Http):
    patch = json.dumps([{"op": "remove", "path": "/metadata/nothing"}])
    told = shared.refused("-n", "default", "patch", "deployment", "patched", "--type=json", "-p", patch)
    assert told.strip() == f"The request is invalid: {CANNOT_APPLY}"
