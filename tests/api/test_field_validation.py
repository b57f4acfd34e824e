"""Fields that are unknown or set twice are told of, as the conformance suite's FieldValidation tests ask."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.raw import APPLY, Http

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
STRICT = "?fieldManager=m&fieldValidation=Strict"
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"app": "a"}},
    "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}  # fmt: skip
FOO = {"foo": {"type": "string"}}
SPEC = {
    "type": "object",
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "foo": {"type": "string"},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    },
}


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


def definition(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.strict.example.com"},
        "spec": {
            "group": "strict.example.com", "scope": "Cluster",
            "names": {"plural": f"{name}s", "kind": name.title()},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def definitions(http: Http) -> Iterator[None]:
    made = {
        "strict": {"type": "object", "properties": {"spec": {"type": "object", "properties": FOO}}},
        "loose": {"type": "object", "properties": {"spec": SPEC}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }  # fmt: skip
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for name, schema in made.items():
        http.post(path, definition(name, schema)).ok(201)
    yield
    for name in made:
        http.delete(f"{path}/{name}s.strict.example.com").ok()


def strict_error(http: Http, path: str, body: bytes | dict[str, Any], **how: Any) -> str:
    return http.post(path + STRICT, body, **how).refused(400, "BadRequest")


def with_twice(text: str, first: str) -> bytes:
    """The JSON text with one of its fields set twice."""
    assert first in text
    return text.replace(first, f"{first}, {first}").encode()


def test_unknown_and_duplicate_fields_of_a_typed_object_are_refused(http: Http):
    obj = copy.deepcopy(DEPLOYMENT)
    obj["spec"]["unknownField"] = "foo"
    told = strict_error(http, DEPLOYMENTS, with_twice(json.dumps(obj), '"replicas": 0'))
    assert told.endswith(
        'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"'
    )


def test_unknown_metadata_is_refused(http: Http):
    obj = copy.deepcopy(DEPLOYMENT)
    obj["metadata"]["unknownMeta"] = "foo"
    assert 'strict decoding error: unknown field "metadata.unknownMeta"' in strict_error(http, DEPLOYMENTS, obj)


def test_a_warning_names_what_is_unknown_or_doubled(http: Http):
    body = b'{"metadata":{"name":"warned"},"data":{"a":"b","a":"c"},"dta":{}}'
    answer = http.post(f"{CONFIG_MAPS}?dryRun=All", body)
    answer.ok(201)
    assert answer.warnings == ['299 - "unknown field \\"dta\\""', '299 - "duplicate field \\"data.a\\""']
    assert http.post(f"{CONFIG_MAPS}?dryRun=All&fieldValidation=Ignore", body).warnings == []


def test_doubled_keys_of_yaml_are_named_by_line(http: Http):
    body = b"metadata:\n  name: x\ndata:\n  a: b\n  a: c\n"
    assert 'line 5: key "a" already set in map' in strict_error(http, CONFIG_MAPS, body, type="application/yaml")


def test_an_apply_patch_may_set_no_field_that_the_schema_does_not_have(http: Http):
    head = b"apiVersion: strict.example.com/v1\nkind: Strict\nmetadata:\n  name: x\n"
    body = head + b"unknownField: unknown\nspec:\n  foo: a\n"
    path = "/apis/strict.example.com/v1/stricts/x"
    told = http.patch(path + STRICT, body, APPLY).refused(400, "BadRequest")
    assert told == (
        "failed to create typed patch object (x; strict.example.com/v1, Kind=Strict): "
        ".unknownField: field not declared in schema"
    )


def test_an_apply_patch_may_set_no_unknown_metadata(http: Http):
    body = b"""
apiVersion: strict.example.com/v1
kind: Loose
metadata:
  name: x
  unknownMeta: unknown
spec:
  template:
    apiVersion: foo/v1
    kind: Sub
    metadata:
      unknownSubMeta: unknown
      name: sub
"""
    told = http.patch("/apis/strict.example.com/v1/looses/x" + STRICT, body, APPLY).refused(400, "BadRequest")
    assert ".metadata.unknownMeta: field not declared in schema" in told
    assert ".spec.template.metadata.unknownSubMeta: field not declared in schema" in told


def test_an_apply_patch_with_a_doubled_key_is_refused_though_unknown_fields_are_kept(http: Http):
    body = b"""
apiVersion: strict.example.com/v1
kind: Loose
metadata:
  name: x
spec:
  unknown: uk1
  foo: foo1
  foo: foo2
"""
    told = http.patch("/apis/strict.example.com/v1/looses/x" + STRICT, body, APPLY).refused(400, "BadRequest")
    assert 'line 9: key "foo" already set in map' in told


def test_an_apply_patch_without_a_schema_may_set_anything(http: Http):
    head = b"apiVersion: strict.example.com/v1\nkind: Free\nmetadata:\n  name: x\n"
    body = head + b"spec:\n  unknown: uk1\n  ports: [{name: x}]\n"
    made = http.patch("/apis/strict.example.com/v1/frees/x" + STRICT, body, APPLY).ok(201)
    assert made["spec"] == {"unknown": "uk1", "ports": [{"name": "x"}]}


def test_a_merge_patch_with_unknown_fields_is_refused(http: Http):
    http.post(CONFIG_MAPS, {"metadata": {"name": "merged"}}).ok(201)
    told = http.patch(f"{CONFIG_MAPS}/merged{STRICT}", {"dta": {}}).refused(422, "Invalid")
    assert told.endswith('strict decoding error: unknown field "dta"')
    http.delete(f"{CONFIG_MAPS}/merged").ok()


@pytest.mark.parametrize(
    ("path", "kind", "spec"),
    [
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", "SubjectAccessReview",
         {"user": "me", "nonResourceAttributes": {"path": "/x", "verb": "get"}}),
        ("/apis/authentication.k8s.io/v1/tokenreviews", "TokenReview", {"token": "x"}),
        ("/api/v1/namespaces/default/serviceaccounts/default/token", "TokenRequest", {"audiences": ["me"]}),
    ],
)  # fmt: skip
def test_what_is_asked_and_never_stored_is_read_as_strictly(
    http: Http, path: str, kind: str, spec: dict[str, Any]
) -> None:
    body = {"spec": {**spec, "unheard": 1}}
    told = http.post(f"{path}?fieldValidation=Strict", body).refused(400, "BadRequest")
    assert f'cannot be handled as a {kind}: strict decoding error: unknown field "spec.unheard"' in told
    assert http.post(path, body).warnings == ['299 - "unknown field \\"spec.unheard\\""']
    assert not http.post(f"{path}?fieldValidation=Ignore", body).warnings


def test_nulls_of_a_review_are_as_if_they_were_not_there(http: Http) -> None:
    """kubectl before 1.32 sends the lists of a status as nulls."""
    status = {"resourceRules": None, "nonResourceRules": None, "incomplete": False}
    body = {"metadata": {"creationTimestamp": None}, "spec": {"namespace": "default"}, "status": status}
    found = http.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body).ok(201)
    assert found["status"]["resourceRules"]
