"""api-machinery/vap: admission policies in CEL, and policies and bindings as objects."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.conformance import admission_policies
from tests.conformance.admission_policies import GROUP
from tests.conformance.operations import every_verb, listed_in_discovery, status_verbs
from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space

pytestmark = pytest.mark.conformance
POLICY, BINDING = f"{GROUP}/ValidatingAdmissionPolicy", f"{GROUP}/ValidatingAdmissionPolicyBinding"


def policy(space: Space, *validations: Obj, **spec: Any) -> Obj:
    """About deployments in this namespace."""
    more = {"validations": list(validations), **spec}
    return admission_policies.policy(space, "ValidatingAdmissionPolicy", ["CREATE", "UPDATE"], **more)


def binding(space: Space) -> Obj:
    return admission_policies.binding(space, "ValidatingAdmissionPolicy", validationActions=["Deny"])


def bound(space: Space, wanted: Obj) -> AbstractContextManager[None]:
    return admission_policies.bound(space, wanted, binding(space))


def workload(kind: str, name: str, replicas: int) -> Obj:
    labels = {"app": "nginx"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": IMAGE}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def denied(space: Space) -> str:
    """The message for a deployment of one replica."""
    space.wait(
        lambda: space.ask("POST", "apps/v1/Deployment", body=workload("Deployment", "marker", 1)).code == 422
    )
    answer = space.ask("POST", "apps/v1/Deployment", body=workload("Deployment", "marker", 1))
    return answer.refused(422, "Invalid")


@row("ValidatingAdmissionPolicy should validate against a Deployment")
def test_a_policy_denies_what_its_expression_does_not_hold_for(space: Space):
    validation = {
        "expression": "object.spec.replicas > 1",
        "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas",
    }
    with bound(space, policy(space, validation)):
        assert f"ValidatingAdmissionPolicy '{space.name}.policy.example.com'" in denied(space)
        space.create(workload("Deployment", "replicated", 2))
        space.create(workload("ReplicaSet", "non-replicated", 1))


@row("ValidatingAdmissionPolicy should allow expressions to refer variables.")
def test_expressions_refer_to_variables(space: Space):
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
    ]
    validations = (
        {"expression": "variables.replicas > 1"},
        {"expression": "variables.oddReplicas"},
    )
    with bound(space, policy(space, *validations, variables=variables)):
        assert "failed expression: variables.replicas > 1" in denied(space)
        even = space.ask("POST", "apps/v1/Deployment", body=workload("Deployment", "replicated", 2))
        assert "variables.oddReplicas" in even.refused(422, "Invalid")
        space.create(workload("Deployment", "scaled", 3))
        space.create(workload("ReplicaSet", "non-replicated", 1))


@row("ValidatingAdmissionPolicy should support ValidatingAdmissionPolicy API operations")
def test_policies_answer_every_verb(space: Space):
    wanted = policy(space, {"expression": "object.spec.replicas <= 100"})
    listed_in_discovery(space, POLICY, status=True)
    every_verb(space, wanted, spec={"failurePolicy": "Ignore"})
    name = space.create(wanted)["metadata"]["name"]
    condition = {
        "type": "PatchStatusFailed",
        "status": "False",
        "reason": "e2e",
        "message": "Set from an e2e test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status_verbs(space, POLICY, name, condition)
    space.delete(POLICY, name)


@row("ValidatingAdmissionPolicy should support ValidatingAdmissionPolicyBinding API operations")
def test_bindings_answer_every_verb(space: Space):
    listed_in_discovery(space, BINDING, status=False)
    every_verb(space, binding(space), spec={"validationActions": ["Warn"]})


MUTATING = f"{GROUP}/MutatingAdmissionPolicy"
SIDECAR = """\
Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
  initContainers: [Object.spec.template.spec.initContainers{
    name: "sidecar", image: object.spec.template.spec.containers[0].image, args: ["sleep", "3600"], restartPolicy: "Always"
  }]
}}}}"""
LABEL = '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/team"), value: params.data.team}]'


def mutating(space: Space, *mutations: Obj, **spec: Any) -> Obj:
    made = policy(space, mutations=list(mutations), reinvocationPolicy="Never", **spec)
    del made["spec"]["validations"]
    return {**made, "kind": "MutatingAdmissionPolicy"}


def test_a_mutating_policy_changes_what_is_made(space: Space):
    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "teams"}, "data": {"team": "blue"}})
    wanted = mutating(
        space,
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": SIDECAR}},
        {"patchType": "JSONPatch", "jsonPatch": {"expression": LABEL}},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
    )
    bad = copy.deepcopy(wanted)
    bad["spec"]["mutations"][0]["applyConfiguration"]["expression"] = "Object{spec: "
    assert "compilation failed" in space.ask("POST", MUTATING, body=bad).refused(422, "Invalid")
    space.create(wanted)
    bind = {**binding(space), "kind": "MutatingAdmissionPolicyBinding"}
    del bind["spec"]["validationActions"]
    bind["spec"]["paramRef"] = {"name": "teams", "parameterNotFoundAction": "Deny"}
    space.create(bind)
    try:
        made = space.create(workload("Deployment", "changed", 1))
        (sidecar,) = made["spec"]["template"]["spec"]["initContainers"]
        assert (sidecar["image"], sidecar["restartPolicy"]) == (IMAGE, "Always")
        assert sidecar["terminationMessagePath"] == "/dev/termination-log"
        assert made["metadata"]["labels"] == {"app": "nginx", "example.com/team": "blue"}
        space.delete("v1/ConfigMap", "teams")
        answer = space.ask("POST", "apps/v1/Deployment", body=workload("Deployment", "another", 1))
        said = answer.refused(422, "Invalid")
        assert (
            f"policy '{wanted['metadata']['name']}' with binding '{bind['metadata']['name']}' denied request"
            in said
        )
        space.create(workload("ReplicaSet", "not-matched", 1))
    finally:
        space.delete(f"{GROUP}/MutatingAdmissionPolicyBinding", bind["metadata"]["name"])
        space.delete(MUTATING, wanted["metadata"]["name"])
