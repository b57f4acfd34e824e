"""How the schema of a custom resource and its rules work together."""

from __future__ import annotations

from typing import Any

from minikube.registry.shape import Shape
from minikube.schema.structure import compile

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {"size": {"type": "integer"}, "name": {"type": "string", "maxLength": 3}},
            "x-kubernetes-validations": [{"rule": "self.size > 1", "message": "too small"}],
        }
    },
}
SHAPE = Shape(compile(SCHEMA), custom=True)


def errors(spec: dict[str, Any], *, old: dict[str, Any] | None = None) -> list[str]:
    return [str(error) for error in SHAPE.validate({"spec": spec}, None if old is None else {"spec": old})]


def test_rules_come_after_the_schema() -> None:
    assert errors({"size": 2}) == []
    assert errors({"size": 1}) == ['spec: Invalid value: "object": too small']


def test_rules_of_an_object_that_is_no_good_are_not_evaluated() -> None:
    assert errors({}) == [
        "spec.size: Required value",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation",
    ]


def test_what_was_wrong_before_may_stay() -> None:
    wrong = {"size": 1, "name": "too long"}
    assert errors(wrong, old=wrong) == []
    assert errors({"size": 2, "name": "too long"}, old=wrong) == []
    assert errors({**wrong, "name": "a"}, old=wrong) == ['spec: Invalid value: "object": too small']
