"""What mutations of a policy make of an object."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.admission.policies.mutations import MutationFailed, mutated
from minikube.api.admissionregistration_v1 import (
    ApplyConfiguration,
    JSONPatch,
    MatchCondition,
    MutatingAdmissionPolicySpec,
    Mutation,
    Variable,
)
from minikube.schema.cel import CelError
from minikube.schema.structure import builtin

POD = builtin("io.k8s.api.core.v1.Pod")
OBJECT: dict[str, Any] = {
    "metadata": {"name": "one", "labels": {"a": "b"}},
    "spec": {"containers": [{"name": "main", "image": "x"}]},
}


def applying(text: str) -> Mutation:
    return Mutation(patch_type="ApplyConfiguration", apply_configuration=ApplyConfiguration(text))


def patching(text: str) -> Mutation:
    return Mutation(patch_type="JSONPatch", json_patch=JSONPatch(text))


def made(*mutations: Mutation, **more: Any) -> Any:
    spec = MutatingAdmissionPolicySpec(mutations=mutations, **more)
    return mutated(spec, {"object": OBJECT, "oldObject": None, "request": {}}, None, POD)


def test_a_configuration_merges_by_keys():
    sidecar = (
        'Object.spec.containers{name: "side", args: ["proxy"]}, Object.spec.containers{name: "main", tty: true}'
    )
    found = made(applying(f"Object{{spec: Object.spec{{containers: [{sidecar}]}}}}"))
    assert {each["name"]: each for each in found["spec"]["containers"]} == {
        "main": {"name": "main", "image": "x", "tty": True},
        "side": {"name": "side", "args": ["proxy"]},
    }
    assert OBJECT["spec"]["containers"] == [{"name": "main", "image": "x"}]


def test_a_mutation_sees_the_one_before_and_its_variables():
    found = made(
        applying('Object{metadata: Object.metadata{labels: {"c": "d"}}}'),
        patching('[JSONPatch{op: "add", path: "/metadata/labels/n", value: variables.count}]'),
        variables=(Variable("string(size(object.metadata.labels))", "count"),),
    )
    assert found["metadata"]["labels"] == {"a": "b", "c": "d", "n": "2"}


def test_a_condition_that_is_not_met_leaves_the_object():
    condition = MatchCondition("object.metadata.name == 'two'", "name")
    assert made(patching("[]"), match_conditions=(condition,)) == OBJECT


@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        (patching('[JSONPatch{op: "remove", path: "/spec/nothing"}]'), "JSON Patch: "),
        (patching("object.metadata"), "should evaluate to array"),
        (applying("[1]"), "must evaluate to Object but got list"),
        (
            applying('Object{spec: Object.spec{tolerations: [Object.spec.tolerations{key: "a"}]}}'),
            "may not mutate atomic arrays, maps or structs: .spec.tolerations",
        ),
    ],
)
def test_what_cannot_be_taken_in_says_why(mutation: Mutation, said: str):
    with pytest.raises(MutationFailed) as failed:
        made(mutation)
    assert said in str(failed.value)


def test_an_expression_that_fails_is_told():
    with pytest.raises(CelError, match=r"expression 'object\.nothing' resulted in error: no such key: nothing"):
        made(patching("object.nothing"))
