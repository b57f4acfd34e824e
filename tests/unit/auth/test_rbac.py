"""What rules allow and cover."""

from __future__ import annotations

import pytest

from minikube.api.meta import ObjectMeta
from minikube.api.rbac_v1 import PolicyRule, RoleBinding, Subject
from minikube.auth.base import Action
from minikube.auth.rbac import covers, rule_allows, subject_keys

PODS = PolicyRule(api_groups=("",), resources=("pods", "pods/log"), verbs=("get", "list"))


@pytest.mark.parametrize(
    ("rule", "action", "allowed"),
    [
        (PODS, Action("get", resource="pods", namespace="a", name="x"), True),
        (PODS, Action("delete", resource="pods", namespace="a", name="x"), False),
        (PODS, Action("get", resource="pods", subresource="log"), True),
        (PODS, Action("get", resource="pods", subresource="exec"), False),
        (PODS, Action("get", group="apps", resource="pods"), False),
        (PODS, Action("get", path="/api"), False),
        (
            PolicyRule(api_groups=("",), resources=("secrets",), resource_names=("one",), verbs=("get",)),
            Action("get", resource="secrets", name="two"),
            False,
        ),
        (PolicyRule(api_groups=("*",), resources=("*/scale",), verbs=("*",)),
         Action("update", group="apps", resource="deployments", subresource="scale"), True),
        (PolicyRule(non_resource_urls=("/healthz/*",), verbs=("get",)), Action("get", path="/healthz/etcd"), True),
        (PolicyRule(non_resource_urls=("/healthz",), verbs=("get",)), Action("get", path="/healthz/etcd"), False),
    ],
)  # fmt: skip
def test_a_rule_allows_what_it_names(rule: PolicyRule, action: Action, allowed: bool) -> None:
    assert rule_allows(rule, action) is allowed


def test_a_rule_is_covered_by_several_others_together() -> None:
    one = PolicyRule(api_groups=("",), resources=("pods",), verbs=("get",))
    two = PolicyRule(api_groups=("",), resources=("pods",), verbs=("list",))
    both = PolicyRule(api_groups=("",), resources=("pods",), verbs=("get", "list"))
    assert covers([one, two], both)
    assert not covers([one], both)
    assert not covers([both], PolicyRule(api_groups=("*",), resources=("pods",), verbs=("get",)))


def test_a_service_account_is_the_user_it_authenticates_as() -> None:
    binding = RoleBinding(
        metadata=ObjectMeta(name="b", namespace="here"), subjects=(Subject(kind="ServiceAccount", name="robot"),)
    )
    assert subject_keys(binding) == {"u:system:serviceaccount:here:robot"}
