"""What rules allow, and what bindings grant over a registry in memory."""

from __future__ import annotations

import asyncio

import pytest

from minikube.api.meta import ObjectMeta
from minikube.api.rbac_v1 import PolicyRule, Role, RoleBinding, RoleRef, Subject
from minikube.auth.base import Action, Decision, User
from minikube.auth.policy_rules import GROUP
from minikube.auth.rbac import RbacAuthorizer, rule_allows, subject_keys
from tests.fakes.cluster import Cluster

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


def test_a_service_account_is_the_user_it_authenticates_as() -> None:
    binding = RoleBinding(
        metadata=ObjectMeta(name="b", namespace="here"), subjects=(Subject(kind="ServiceAccount", name="robot"),)
    )
    assert subject_keys(binding) == {"here/u:system:serviceaccount:here:robot"}


def test_a_binding_grants_in_its_namespace_only_and_says_so() -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        authorizer = RbacAuthorizer(cluster.informers)
        meta = ObjectMeta(name="readers", namespace="default")
        binding = RoleBinding(
            metadata=meta,
            role_ref=RoleRef(api_group=GROUP, kind="Role", name="readers"),
            subjects=(Subject(api_group=GROUP, kind="Group", name="team"),),
        )
        await cluster.client.create(binding)
        bob = User("bob", groups=("team",))
        action = Action("get", resource="pods", namespace="default", name="x")
        missing = f'RBAC: role.{GROUP} "readers" not found'
        assert authorizer.authorize(bob, action) == Decision(False, missing)
        await cluster.client.create(Role(metadata=meta, rules=(PODS,)))
        assert authorizer.authorize(bob, action) == Decision(
            True, 'RBAC: allowed by RoleBinding "readers/default" of Role "readers" to Group "team"'
        )
        elsewhere = Action("get", resource="pods", namespace="other", name="x")
        assert authorizer.authorize(bob, elsewhere) == Decision(False)
        assert authorizer.authorize(User("eve"), action) == Decision(False)
        assert authorizer.rules_of(bob, "default") == [PODS]

    asyncio.run(scene())
