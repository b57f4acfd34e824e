"""metadata.generation counts what is wanted, on the kinds that have one."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.kit.clock import SYSTEM
from minikube.registry.custom import kinds_of
from minikube.registry.metadata import count, stamp_new
from minikube.resources.base import Kind
from tests.unit.registry.test_custom import VERSION, WIDGETS
from tests.unit.resources.objects import kind_of

WITH_STATUS = kinds_of(WIDGETS).storage
WITHOUT = kinds_of({**WIDGETS, "spec": {**WIDGETS["spec"], "versions": [{**VERSION, "subresources": {}}]}}).storage


def obj(generation: int, **parts: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "generation": generation}, **parts}


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("Deployment", True), ("Pod", True), ("Ingress", True), ("NetworkPolicy", True),
        ("CustomResourceDefinition", True), ("EndpointSlice", True), ("PriorityClass", True),
        ("Service", False), ("Node", False), ("Namespace", False), ("Secret", False), ("ConfigMap", False),
        ("HorizontalPodAutoscaler", False), ("PersistentVolumeClaim", False), ("Lease", False),
    ],
)  # fmt: skip
def test_only_some_kinds_have_one(name: str, has: bool) -> None:
    new: dict[str, Any] = {"metadata": {"name": "a", "generation": 7}, "spec": {}}
    stamp_new(new, kind_of(name), "x", SYSTEM.now())
    assert new["metadata"].get("generation") == (1 if has else None)


@pytest.mark.parametrize(
    ("kind", "old", "new", "generation"),
    [
        (WITH_STATUS, obj(1, spec={"a": 1}), obj(1, spec={"a": 2}), 2),
        (WITH_STATUS, obj(4, data=1), obj(4), 5),
        (WITH_STATUS, obj(1, spec={}), {**obj(1, spec={}), "metadata": {"generation": 1, "labels": {"a": "b"}}}, 1),
        (WITH_STATUS, obj(1, status={}), obj(1, status={"a": 1}), 1),
        (WITHOUT, obj(1, status={}), obj(1, status={"a": 1}), 2),
    ],
)
def test_it_grows_with_what_is_wanted(kind: Kind, old: Any, new: Any, generation: int) -> None:
    count(kind, new, old)
    assert new["metadata"]["generation"] == generation


def test_custom_resources_without_a_spec_have_one_too() -> None:
    new: dict[str, Any] = {"metadata": {"name": "a"}}
    stamp_new(new, WITHOUT, "x", SYSTEM.now())
    assert new["metadata"]["generation"] == 1
