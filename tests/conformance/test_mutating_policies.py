"""api-machinery/map: admission policies that change objects, and they and their bindings as objects."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from tests.conformance import admission_policies
from tests.conformance.admission_policies import GROUP
from tests.conformance.operations import every_verb, listed_in_discovery
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space
from tests.conformance.test_policies import workload

pytestmark = pytest.mark.conformance
POLICY, BINDING = f"{GROUP}/MutatingAdmissionPolicy", f"{GROUP}/MutatingAdmissionPolicyBinding"
APPLIED = 'Object{metadata: Object.metadata{annotations: {"my-foo-annotation": "myAnnotationValue"}}}'
FIVE = "Object{spec: Object.spec{replicas: object.spec.replicas + 5}}"


def policy(space: Space, expression: str) -> Obj:
    """About what is created in this namespace and its like."""
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    more = {"mutations": [mutation], "reinvocationPolicy": "IfNeeded"}
    return admission_policies.policy(space, "MutatingAdmissionPolicy", ["CREATE"], **more)


def binding(space: Space) -> Obj:
    return admission_policies.binding(space, "MutatingAdmissionPolicy")


def bound(space: Space, expression: str) -> AbstractContextManager[None]:
    return admission_policies.bound(space, policy(space, expression), binding(space))


@row("MutatingAdmissionPolicy should mutate a Deployment with annotations")
def test_a_policy_annotates(space: Space):
    def annotated() -> bool:
        made = space.create(workload("Deployment", "marker", 0))
        space.delete("apps/v1/Deployment", "marker")
        return made["metadata"].get("annotations", {}).get("my-foo-annotation") == "myAnnotationValue"

    with bound(space, APPLIED):
        space.wait(annotated)


@row("MutatingAdmissionPolicy should mutate a Deployment")
def test_a_policy_computes_from_what_it_sees(space: Space):
    def counted() -> bool:
        made = space.create(workload("Deployment", "marker", 1))
        space.delete("apps/v1/Deployment", "marker")
        return bool(made["spec"]["replicas"] == 6)

    with bound(space, FIVE):
        space.wait(counted)
        assert space.create(workload("ReplicaSet", "another-kind", 0))["spec"]["replicas"] == 0


@row("MutatingAdmissionPolicy should support MutatingAdmissionPolicy API operations")
def test_every_verb_of_policies(space: Space):
    listed_in_discovery(space, POLICY, status=False)
    every_verb(space, policy(space, APPLIED), spec={"failurePolicy": "Ignore"})


@row("MutatingAdmissionPolicy should support MutatingAdmissionPolicyBinding API operations")
def test_every_verb_of_bindings(space: Space):
    listed_in_discovery(space, BINDING, status=False)
    every_verb(space, binding(space), spec={"matchResources": {"matchPolicy": "Exact"}})
