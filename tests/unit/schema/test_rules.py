"""x-kubernetes-validations: what rules see, when transition rules speak, how a broken rule is told."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.schema.rules import broken_rules, escaped, has_rules, uses_old
from minikube.schema.structure import compile

INTEGER = {"type": "integer"}


def spec(rule: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """The schema of a resource whose spec has this rule."""
    fields = {"replicas": INTEGER, "most": INTEGER, **properties}
    return {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-validations": [rule], "properties": fields}},
    }


def told(schema: dict[str, Any], new: Any, *old: Any) -> list[str]:
    """The errors about specs `new` and perhaps `old`."""
    return [
        str(error) for error in broken_rules({"spec": new}, compile(schema), "", *({"spec": one} for one in old))
    ]


def test_a_broken_rule_is_told_at_its_place() -> None:
    schema = spec({"rule": "self.replicas <= self.most"})
    assert told(schema, {"replicas": 1, "most": 2}) == []
    assert told(schema, {"replicas": 3, "most": 2}) == [
        'spec: Invalid value: "object": failed rule: self.replicas <= self.most'
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"message": " too many "}, 'spec: Invalid value: "object": too many'),
        ({"messageExpression": "'at most ' + string(self.most)"}, 'spec: Invalid value: "object": at most 2'),
        ({"message": "m", "messageExpression": "string(self.no)"}, 'spec: Invalid value: "object": m'),
        ({"fieldPath": ".replicas", "message": "m"}, 'spec.replicas: Invalid value: "object": m'),
        ({"reason": "FieldValueForbidden", "message": "m"}, "spec: Forbidden: m"),
        ({"reason": "FieldValueRequired", "message": "m"}, "spec: Required value: m"),
        ({"reason": "FieldValueDuplicate", "message": "m"}, 'spec: Duplicate value: "object"'),
    ],
)
def test_words(more: dict[str, str], said: str) -> None:
    assert told(spec({"rule": "self.replicas <= self.most", **more}), {"replicas": 3, "most": 2}) == [said]


def test_a_rule_that_fails_is_broken() -> None:
    assert told(spec({"rule": "self.replicas <= self.most"}), {"replicas": 3}) == [
        'spec: Invalid value: "object": no such key: most evaluating rule: self.replicas <= self.most'
    ]


def test_transition_rules_need_an_old_value() -> None:
    schema = spec({"rule": "self.replicas >= oldSelf.replicas", "message": "never fewer"})
    assert told(schema, {"replicas": 1}) == []
    assert told(schema, {"replicas": 3}, {"replicas": 2}) == []
    assert told(schema, {"replicas": 1}, {"replicas": 2}) == ['spec: Invalid value: "object": never fewer']


def test_an_optional_old_value_may_be_missing() -> None:
    rule = {"rule": "self.replicas > oldSelf.?replicas.orValue(0)", "optionalOldSelf": True, "message": "more"}
    assert told(spec(rule), {"replicas": 1}) == []
    assert told(spec(rule), {"replicas": 0}) == ['spec: Invalid value: "object": more']
    assert told(spec(rule), {"replicas": 2}, {"replicas": 1}) == []
    assert told(spec(rule), {"replicas": 1}, {"replicas": 1}) == ['spec: Invalid value: "object": more']


def test_what_has_not_changed_is_left_alone() -> None:
    schema = spec({"rule": "self.replicas > 5"})
    assert told(schema, {"replicas": 1}, {"replicas": 1}) == []
    assert told(schema, {"replicas": 1}, {"replicas": 2}) != []


def test_list_elements_are_followed_by_their_keys() -> None:
    port = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "port": INTEGER},
        "x-kubernetes-validations": [{"rule": "self.port == oldSelf.port", "message": "fixed"}],
    }
    ports = {
        "type": "array",
        "items": port,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    schema = spec({"rule": "true"}, ports=ports)
    old = {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    new = {"ports": [{"name": "b", "port": 2}, {"name": "a", "port": 7}, {"name": "c", "port": 9}]}
    assert told(schema, new, old) == ['spec.ports[1]: Invalid value: "object": fixed']


def test_names_and_numbers_as_rules_see_them() -> None:
    fields = {"max-size": INTEGER, "namespace": {"type": "string"}, "ratio": {"type": "number"}}
    schema = spec(
        {"rule": "self.max__dash__size > 1 && self.__namespace__ == 'n' && type(self.ratio) == double"}, **fields
    )
    assert told(schema, {"max-size": 2, "namespace": "n", "ratio": 1}) == []
    assert escaped("a__b.c/d") == "a__underscores__b__dot__c__slash__d"


def test_which_structures_and_rules() -> None:
    assert has_rules(compile(spec({"rule": "true"})))
    assert not has_rules(compile({"type": "object", "properties": {"spec": {"type": "object"}}}))
    assert uses_old("self == oldSelf")
    assert not uses_old("self == 'oldSelf'")
