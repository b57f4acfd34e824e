"""Expressions (CEL) as users meet them: policies that deny, rules of custom resources, bad ones refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.api.conftest import Cluster

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas.example.com}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {replicas: several}}
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  variables:
  - {name: replicas, expression: object.spec.replicas}
  validations:
  - expression: variables.replicas > 1
    messageExpression: "'wants replicas > 1, got ' + string(variables.replicas)"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas.example.com}
spec: {policyName: replicas.example.com, validationActions: [Deny]}
"""
BOATS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.rules.example.com}
spec:
  group: rules.example.com
  scope: Namespaced
  names: {plural: boats, kind: Boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              sails: {type: integer}
              most: {type: integer}
              harbour:
                type: string
                x-kubernetes-validations: [{rule: self == oldSelf, message: harbour is immutable}]
            x-kubernetes-validations:
            - {rule: self.sails <= self.most, message: too many sails, fieldPath: .sails}
"""
BAD_WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: bad.example.com}
webhooks:
- name: bad.example.com
  clientConfig: {url: "https://bad.example.com/"}
  admissionReviewVersions: [v1]
  sideEffects: None
  matchConditions: [{name: bad, expression: "... [] bad expression"}]
"""


@pytest.fixture
def policy(cluster: Cluster) -> Iterator[None]:
    cluster.kubectl("apply", "-f", "-", stdin=POLICY)
    yield
    cluster.kubectl("delete", "-f", "-", stdin=POLICY)


def test_a_bound_policy_denies(cluster: Cluster, policy: None) -> None:
    cluster.kubectl("create", "deployment", "before", "--image=i", "--replicas=1")
    namespace = cluster.kubectl("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    cluster.kubectl("label", "namespace", namespace, "replicas=several")
    said = cluster.refused("create", "deployment", "one", "--image=i", "--replicas=1")
    name = "replicas.example.com"
    denied = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request"
    assert f"{denied}: wants replicas > 1, got 1" in said
    cluster.kubectl("create", "deployment", "two", "--image=i", "--replicas=2")


def boat(sails: int, harbour: str) -> str:
    return f"""
apiVersion: rules.example.com/v1
kind: Boat
metadata: {{name: b}}
spec: {{sails: {sails}, most: 3, harbour: {harbour}}}
"""


def test_rules_of_custom_resources(cluster: Cluster) -> None:
    said = cluster.refused("apply", "-f", "-", stdin=BOATS.replace("self.most", "mast"))
    assert "x-kubernetes-validations[0].rule: Invalid value" in said
    assert "compilation failed: ERROR: <input>:1:15: undeclared reference to 'mast'" in said
    cluster.kubectl("apply", "-f", "-", stdin=BOATS)
    cluster.kubectl("wait", "--for=condition=established", "crd/boats.rules.example.com")
    said = cluster.refused("apply", "-f", "-", stdin=boat(4, "kiel"))
    assert 'spec.sails: Invalid value: "object": too many sails' in said
    cluster.kubectl("apply", "-f", "-", stdin=boat(3, "kiel"))
    said = cluster.refused("apply", "-f", "-", stdin=boat(3, "bremen"))
    assert 'spec.harbour: Invalid value: "string": harbour is immutable' in said
    cluster.kubectl("delete", "crd", "boats.rules.example.com")


def test_a_bad_match_condition_is_refused(cluster: Cluster) -> None:
    assert "compilation failed" in cluster.refused("apply", "-f", "-", stdin=BAD_WEBHOOK)


def test_the_status_of_a_policy_says_which_expressions_do_not_suit_its_kinds(cluster: Cluster) -> None:
    checked = POLICY.replace("replicas.example.com", "checked.example.com")
    cluster.kubectl("apply", "-f", "-", stdin=checked.split("---")[0])
    path = "{.status.observedGeneration} {.status.typeChecking}"
    name = "validatingadmissionpolicy/checked.example.com"
    cluster.wait(lambda: cluster.kubectl("get", name, "-o", f"jsonpath={path}") == "1 {}")
    patch = [{"op": "replace", "path": "/spec/validations", "value": [{"expression": "object.replicas > 1"}]}]
    cluster.kubectl("patch", name, "--type=json", "-p", json.dumps(patch))
    cluster.wait(lambda: cluster.kubectl("get", name, "-o", f"jsonpath={path}").startswith("2 "))
    status = json.loads(cluster.kubectl("get", name, "-o", "json"))["status"]
    [warning] = status["typeChecking"]["expressionWarnings"]
    assert warning == {
        "fieldRef": "spec.validations[0].expression",
        "warning": (
            "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n"
            " | object.replicas > 1\n | ......^\n"
        ),
    }
    cluster.kubectl("delete", name)
