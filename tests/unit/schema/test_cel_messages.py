"""Objects and patches in expressions become maps, whatever stands around them."""

from __future__ import annotations

import pytest

from minikube.schema.cel import compile
from minikube.schema.cel_messages import without_messages


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Object{spec: Object.spec{replicas: 3}}", {"spec": {"replicas": 3}}),
        ("Object {\n  metadata: Object.metadata{ }  // Object{\n}", {"metadata": {}}),
        ('Object{`a-b`: 1, c: {"d": [1]}}', {"a-b": 1, "c": {"d": [1]}}),
        ("Object{a: flag ? one : two, b: one}", {"a": 1, "b": 1}),
        ("Object{?a: optional.of(one), ?b: optional.none()}", {"a": 1}),
        (
            '[JSONPatch{op: "add", path: "/a/" + jsonpatch.escapeKey("x/y~z"), value: Object.a{b: one}}]',
            [{"op": "add", "path": "/a/x~1y~0z", "value": {"b": 1}}],
        ),
        ('{"k": "Object{x: 1}"}', {"k": "Object{x: 1}"}),
        ("has(object.Object) ? Object{} : Object{a: 1}", {"a": 1}),
        ("[one, two].map(i, Object{a: i})", [{"a": 1}, {"a": 2}]),
    ],
)
def test_a_message_is_a_map(text: str, value: object):
    data = {"object": {}, "flag": True, "one": 1, "two": 2}
    assert compile(without_messages(text), tuple(data)).evaluate(data) == value
