"""Bodies as Go's decoders read them, and what strict decoding says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from minikube.apiserver.decode_json import duplicates
from minikube.apiserver.decode_yaml import decode_yaml
from minikube.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"a": 1, "b": {"a": 1}}', []),
        ('{"a": 1, "a": 2, "a": 3}', ["a"]),
        ('{"a": [{"b": 1}, {"c": 1, "c": 2}]}', ["a[1].c"]),
        ('{"a": {"b": 1}, "a": {"b": 1, "b": 2}}', ["a", "a.b"]),
    ],
)
def test_fields_set_twice_are_named_by_path(text: str, fields: list[str]):
    assert duplicates(text.encode()) == [f'duplicate field "{field}"' for field in fields]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: 1\nb: 'x'\nc: \"1\"\n", {"a": 1, "b": "x", "c": "1"}),
        ("a: yes\nb: Off\nc: ~\nd:\n", {"a": True, "b": False, "c": None, "d": None}),
        ("a: 0777\nb: 0x1F\nc: 1_000\nd: 08\n", {"a": 511, "b": 31, "c": 1000, "d": 8.0}),
        ("a: 1.5\nb: .5\nc: 1e3\n", {"a": 1.5, "b": 0.5, "c": 1000.0}),
        ("a: 2026-01-01\nb: 12:30:45\nc: 1.2.3\n", {"a": "2026-01-01", "b": "12:30:45", "c": "1.2.3"}),
        ("1: a\ntrue: b\n", {"1": "a", "true": "b"}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("a: !!str 1\nb: !!binary aGk=\n", {"a": "1", "b": "hi"}),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", {"a": "x\ny\n", "b": "x y"}),
        ("[]", []),
        ("--- {a: 1}\n--- {a: 2}\n", {"a": 1}),
        ("", None),
    ],
)
def test_yaml_is_read_as_go_reads_it(text: str, tree: Any):
    assert decode_yaml(text.encode()).tree == tree


def test_yaml_keys_set_twice_are_named_by_line():
    assert decode_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\na: 2\n").duplicates == [
        'line 4: key "c" already set in map',
        'line 5: key "a" already set in map',
    ]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    "text",
    ["{", "a: b: c", "a: *x", "? [a]\n: b", "[" * 9999, "a: .inf", LAUGHS, "<<: 1\na: 1", "\x00", "a: !!binary =x"],
)
def test_yaml_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(BadRequest):
        decode_yaml(text.encode())


def test_json_is_yaml():
    tree = {"a": [1, "x", None, True, {"b": 1.5}], "c": '\n\t"\\ é'}
    assert decode_yaml(json.dumps(tree).encode()).tree == tree
