"""Errors of apply configurations name elements of lists by their keys."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.schema.structure import builtin
from minikube.schema.typed import doubled, spelled

POD = builtin("io.k8s.api.core.v1.Pod")


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "finalizers": ["a/b"]}, "spec": spec}


CONTAINER = {"name": "a", "env": [{"name": "E"}, {"name": "F"}, {"name": "E"}], "ports": [{"containerPort": 80}]}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("spec.containers[0].imag", '.spec.containers[name="a"].imag'),
        (
            "spec.containers[0].ports[0].por",
            '.spec.containers[name="a"].ports[containerPort=80,protocol="TCP"].por',
        ),
        ("spec.containers[0].command[1]", '.spec.containers[name="a"].command[1]'),
        ("spec.containers[7].imag", ".spec.containers[7].imag"),
        ("nothing[0].such", ".nothing[0].such"),
        ("metadata.unknown", ".metadata.unknown"),
    ],
)
def test_elements_are_named_by_their_keys(path: str, shown: str) -> None:
    assert spelled(path, pod(containers=[CONTAINER]), POD) == shown


def test_an_element_twice_is_told() -> None:
    assert list(doubled(pod(containers=[CONTAINER]), POD)) == [
        '.spec.containers[name="a"].env: duplicate entries for key [name="E"]'
    ]


def test_lists_without_keys_may_repeat_themselves() -> None:
    assert list(doubled(pod(containers=[{"name": "a", "args": ["x", "x"]}]), POD)) == []


def test_ports_differ_by_protocol() -> None:
    ports = [
        {"containerPort": 53, "protocol": "UDP"},
        {"containerPort": 53},
        {"containerPort": 53, "protocol": "TCP"},
    ]
    assert list(doubled(pod(containers=[{"name": "a", "ports": ports}]), POD)) == [
        '.spec.containers[name="a"].ports: duplicate entries for key [containerPort=53,protocol="TCP"]'
    ]
