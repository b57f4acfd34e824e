"""Expressions that were stored before need not compile again; what is new must."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.resources.objects import errors_of_new, errors_of_update

SCHEMA = "spec.versions[0].schema.openAPIV3Schema"


def rules(*texts: str) -> dict[str, Any]:
    validations = [{"rule": text} for text in texts]
    items = {"type": "object", "x-kubernetes-validations": validations}
    return {SCHEMA: {"type": "object", "properties": {"spec": {"type": "array", "items": items}}}}


GONE, LOST = {"name": "a", "expression": "gone()"}, {"name": "b", "expression": "lost"}
CHANGES = [
    ("CustomResourceDefinition", rules("gone(self)"), rules("gone(self)", "lost")),
    (
        "ValidatingAdmissionPolicy",
        {"spec.validations": [{"expression": "gone()"}]},
        {"spec.validations": [{"expression": "gone()"}, {"expression": "lost"}]},
    ),
    (
        "ValidatingWebhookConfiguration",
        {"webhooks[0].matchConditions": [{"name": "a", "expression": "gone()"}]},
        {
            "webhooks[0].matchConditions": [
                {"name": "a", "expression": "gone()"},
                {"name": "b", "expression": "lost"},
            ]
        },
    ),
]


@pytest.mark.parametrize(("kind", "before", "after"), CHANGES)
def test_stored_expressions_do_not_block_updates(kind: str, before: Any, after: Any) -> None:
    assert "undeclared reference to 'gone'" in errors_of_new(kind, before)[0]
    assert errors_of_update(kind, before, {"metadata.labels": {"a": "b"}}) == []
    (only,) = errors_of_update(kind, before, after)
    assert "undeclared reference to 'lost'" in only
