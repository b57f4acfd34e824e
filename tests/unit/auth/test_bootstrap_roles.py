"""Bootstrap roles: put right at every start, and aggregated by their controller."""

from __future__ import annotations

import asyncio

import msgspec

from minikube.api.core_v1 import Namespace
from minikube.api.meta import Key, ObjectMeta, replace_meta
from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, RoleRef, Subject
from minikube.auth.base import Action, User
from minikube.auth.bootstrap_roles import AUTOUPDATE, cluster_role_bindings, cluster_roles, role_bindings, roles
from minikube.auth.policy_rules import GROUP, rule
from minikube.auth.rbac import RbacAuthorizer
from minikube.auth.role_reconciliation import ensure_bootstrap_roles, reconciled_binding, reconciled_role
from minikube.controllers.clusterrole_aggregation import ClusterRoleAggregationController
from tests.fakes.cluster import Cluster

PODS, SECRETS = rule("get", "core", "pods"), rule("get", "core", "secrets")


def test_every_binding_refers_to_a_role_that_is_declared_too() -> None:
    names = {("ClusterRole", "", role.metadata.name) for role in cluster_roles()}
    names |= {("Role", role.metadata.namespace, role.metadata.name) for role in roles()}
    for binding in (*cluster_role_bindings(), *role_bindings()):
        assert (binding.role_ref.kind, binding.metadata.namespace, binding.role_ref.name) in names


def test_what_is_missing_is_added_and_what_is_more_stays() -> None:
    wanted = ClusterRole(metadata=ObjectMeta(name="r", labels={"a": "1", "b": "1"}), rules=(PODS, SECRETS))
    present = ClusterRole(metadata=ObjectMeta(name="r", labels={"a": "2"}), rules=(rule("*", "core", "pods"),))
    changed = reconciled_role(present, wanted)
    assert changed.rules == (rule("*", "core", "pods"), SECRETS)
    assert changed.metadata.labels == {"a": "2", "b": "1"}
    frozen = replace_meta(present, annotations={AUTOUPDATE: "false"})
    assert reconciled_role(frozen, wanted) is frozen


def test_subjects_that_are_missing_are_added() -> None:
    bob, team = Subject(kind="User", name="bob"), Subject(kind="Group", name="team")
    meta = ObjectMeta(name="b")
    present = ClusterRoleBinding(metadata=meta, subjects=(bob,))
    assert reconciled_binding(present, ClusterRoleBinding(metadata=meta, subjects=(team,))).subjects == (bob, team)


def test_a_start_repairs_roles_and_bindings() -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        await cluster.client.create(_namespace("kube-system"))
        await cluster.client.create(_namespace("kube-public"))
        await ensure_bootstrap_roles(cluster.client)
        binding = await cluster.client.get(ClusterRoleBinding, "system:basic-user")
        await cluster.client.update(msgspec.structs.replace(binding, subjects=()))
        await cluster.client.delete(ClusterRole, "system:discovery")
        await cluster.client.delete(ClusterRoleBinding, "system:discovery")
        other = RoleRef(api_group=GROUP, kind="ClusterRole", name="view")
        await cluster.client.create(
            ClusterRoleBinding(metadata=ObjectMeta(name="system:discovery"), role_ref=other)
        )
        await ensure_bootstrap_roles(cluster.client)
        authorizer = RbacAuthorizer(cluster.informers)
        bob = User("bob", groups=("system:authenticated",))
        review = Action("create", "authorization.k8s.io", resource="selfsubjectaccessreviews")
        assert authorizer.authorize(bob, review).allowed
        assert authorizer.authorize(bob, Action("get", path="/apis")).allowed

    asyncio.run(scene())


def test_aggregated_roles_follow_the_labels_of_others() -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        await cluster.client.create(_namespace("kube-system"))
        await cluster.client.create(_namespace("kube-public"))
        await ensure_bootstrap_roles(cluster.client)
        controller = ClusterRoleAggregationController(cluster.context())
        more = ObjectMeta(name="crontabs", labels={f"{GROUP}/aggregate-to-view": "true"})
        await cluster.client.create(ClusterRole(metadata=more, rules=(rule("get", "stable.io", "crontabs"),)))
        keys = [*controller.watches[1].keys(ClusterRole())]
        assert sorted(key.name for key in keys) == ["admin", "edit", "view"]
        for name in ("view", "edit", "admin"):
            await cluster.settle(controller, Key("", name))
        admin = await cluster.client.get(ClusterRole, "admin")
        assert {rule("get", "stable.io", "crontabs"), rule("create", "core", "pods/eviction")} <= set(admin.rules)
        await cluster.client.delete(ClusterRole, "crontabs")
        await cluster.settle(controller, Key("", "view"))
        view = await cluster.client.get(ClusterRole, "view")
        assert rule("get", "stable.io", "crontabs") not in view.rules

    asyncio.run(scene())


def _namespace(name: str) -> Namespace:
    return Namespace(metadata=ObjectMeta(name=name))
