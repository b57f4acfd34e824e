"""What the status of a validating policy says of its expressions (upstream's typechecking_test.go)."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.admission.policies.type_checking import expression_warnings
from minikube.api.admissionregistration_v1 import ValidatingAdmissionPolicy
from minikube.api.meta import from_dict
from minikube.resources.all import ALL

DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods", "pods/status"], "operations": ["*"]}


def warnings(*expressions: str, rules: list[dict[str, Any]] | None = None, **spec: Any) -> list[tuple[str, str]]:
    policy = from_dict(
        ValidatingAdmissionPolicy,
        {
            "metadata": {"name": "p"},
            "spec": {
                "matchConstraints": {"resourceRules": rules or [DEPLOYMENTS]},
                "validations": [{"expression": text} for text in expressions],
                **spec,
            },
        },
    )
    return [(one.field_ref, one.warning) for one in expression_warnings(policy, ALL)]


def test_an_unknown_field_is_pointed_at():
    assert warnings("object.spec.replicas > 1", "object.replicas > 1") == [
        (
            "spec.validations[1].expression",
            "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
            " | object.replicas > 1\n | ......^\n",
        )
    ]


def test_values_of_types_that_do_not_go_together_are_told_of():
    [(_, told)] = warnings("object.spec.replicas > '1'")
    assert "found no matching overload for '_>_' applied to '(int, string)'" in told


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.template.spec.containers.all(c, c.image.startsWith('a') && !has(c.resources))",
        "object.metadata.labels['a'] == 'b' && 'c' in object.metadata.annotations",
        "object.spec.template.spec.containers.all(c, quantity(c.resources.limits['memory']).isInteger())",
        "object.spec.strategy.rollingUpdate.maxSurge == 1 || object.spec.strategy.rollingUpdate.maxSurge == '25%'",
        "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')",
        "object.metadata.namespace == namespaceObject.metadata.name && request.operation == 'CREATE'",
        "variables.anything == params.whatever",
        "oldObject == null || object.spec.?paused.orValue(false) == oldObject.spec.?paused.orValue(false)",
        "authorizer.group('apps').resource('deployments').check('create').allowed()",
    ],
)
def test_what_suits_the_kind_is_told_nothing_of(expression: str):
    assert warnings(expression, paramKind={"apiVersion": "v1", "kind": "ConfigMap"}) == []


def test_every_kind_that_the_rules_name_is_asked():
    [(_, told)] = warnings("object.spec.replicas > 1 && object.spec.nodeName == 'a'", rules=[DEPLOYMENTS, PODS])
    assert [line.partition(": ")[0] for line in told.splitlines() if "Kind=" in line] == [
        "/v1, Kind=Pod", "apps/v1, Kind=Deployment",
    ]  # fmt: skip


def test_wildcards_are_not_followed():
    assert warnings("object.nonsense", rules=[{**DEPLOYMENTS, "resources": ["*"]}]) == []
    assert warnings("object.nonsense", rules=[{**DEPLOYMENTS, "apiGroups": ["*"]}]) == []


def test_message_expressions_are_looked_at_too():
    validation = {"expression": "true", "messageExpression": "'not ' + object.name"}
    assert [where for where, _ in warnings(validations=[validation])] == ["spec.validations[0].messageExpression"]


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.definition], ids=lambda kind: kind.definition)
def test_every_kind_can_be_asked(kind: Any):
    from minikube.schema.cel_typed import type_problem

    assert type_problem("object.metadata.name == 'a' || oldObject == null", kind.definition, ()) == ""
