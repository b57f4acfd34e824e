"""The roles and bindings every cluster has: kubernetes.io/docs/reference/access-authn-authz/rbac#default-roles."""

from __future__ import annotations

from minikube.api.meta import Object, ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.rbac_v1 import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleRef,
    Subject,
)
from minikube.client.base import Client
from minikube.errors import NotFound

GROUP = "rbac.authorization.k8s.io"
READ = ("get", "list", "watch")
CHANGE = ("create", "delete", "deletecollection", "patch", "update")
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
WORKLOADS = (
    "controllerrevisions", "daemonsets", "daemonsets/status", "deployments",
    "deployments/scale", "deployments/status",
    "replicasets", "replicasets/scale", "replicasets/status", "statefulsets", "statefulsets/scale",
    "statefulsets/status",
)  # fmt: skip
CORE_READ = (
    "bindings", "configmaps", "endpoints", "events", "limitranges", "namespaces", "namespaces/status",
    "persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "pods/log", "pods/status",
    "replicationcontrollers", "replicationcontrollers/scale", "replicationcontrollers/status", "resourcequotas",
    "resourcequotas/status", "serviceaccounts", "services", "services/status",
)  # fmt: skip
CORE_CHANGE = (
    "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale",
    "secrets", "serviceaccounts", "services", "services/proxy",
)  # fmt: skip


def rule(groups: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> PolicyRule:
    """`groups` separated by spaces; the core group is `core`."""
    return PolicyRule(
        api_groups=tuple("" if group == "core" else group for group in groups.split()),
        resources=resources,
        verbs=verbs,
    )


def paths(*urls: str) -> PolicyRule:
    return PolicyRule(non_resource_urls=urls, verbs=("get",))


_WORKLOAD_CHANGES = tuple(name for name in WORKLOADS if name != "controllerrevisions" and "/status" not in name)
_VIEW = (
    rule("core", CORE_READ, READ),
    rule("discovery.k8s.io", ("endpointslices",), READ),
    rule("apps", WORKLOADS, READ),
    rule("autoscaling", ("horizontalpodautoscalers", "horizontalpodautoscalers/status"), READ),
    rule("batch", ("cronjobs", "cronjobs/status", "jobs", "jobs/status"), READ),
    rule("policy", ("poddisruptionbudgets", "poddisruptionbudgets/status"), READ),
    rule("networking.k8s.io", ("ingresses", "ingresses/status", "networkpolicies"), READ),
)
_EDIT = (
    rule("core", ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"), READ),
    rule("core", ("serviceaccounts",), ("impersonate",)),
    rule("core", ("pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"), CHANGE),
    rule("core", ("pods/eviction", "serviceaccounts/token"), ("create",)),
    rule("core", CORE_CHANGE, CHANGE),
    rule("apps", _WORKLOAD_CHANGES, CHANGE),
    rule("autoscaling", ("horizontalpodautoscalers",), CHANGE),
    rule("batch", ("cronjobs", "jobs"), CHANGE),
    rule("policy", ("poddisruptionbudgets",), CHANGE),
    rule("networking.k8s.io", ("ingresses", "networkpolicies"), CHANGE),
    rule("coordination.k8s.io", ("leases",), (*CHANGE, *READ)),
)
_ADMIN = (
    rule("authorization.k8s.io", ("localsubjectaccessreviews",), ("create",)),
    rule(GROUP, ("rolebindings", "roles"), (*CHANGE, *READ)),
)


def cluster_role(name: str, *rules: PolicyRule, aggregate_to: str = "", from_: tuple[str, ...] = ()) -> ClusterRole:
    labels = dict(LABELS)
    if aggregate_to:
        labels[f"{GROUP}/aggregate-to-{aggregate_to}"] = "true"
    selectors = tuple(LabelSelector(match_labels={f"{GROUP}/aggregate-to-{one}": "true"}) for one in from_)
    return ClusterRole(
        metadata=ObjectMeta(name=name, labels=labels, annotations=ANNOTATIONS),
        rules=rules,
        aggregation_rule=AggregationRule(cluster_role_selectors=selectors) if from_ else None,
    )


def bound(role: str, *groups: str) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=role, labels=LABELS, annotations=ANNOTATIONS),
        role_ref=RoleRef(api_group=GROUP, kind="ClusterRole", name=role),
        subjects=tuple(Subject(api_group=GROUP, kind="Group", name=group) for group in groups),
    )


def bootstrap_roles() -> list[Object]:
    review = ("create",)
    return [
        cluster_role(
            "cluster-admin", rule("*", ("*",), ("*",)), PolicyRule(non_resource_urls=("*",), verbs=("*",))
        ),
        cluster_role(
            "system:discovery",
            paths("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                  "/version", "/version/"),
        ),
        cluster_role("system:public-info-viewer", paths("/healthz", "/livez", "/readyz", "/version", "/version/")),
        cluster_role("system:monitoring", paths("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics",
                                                "/metrics/slis", "/readyz", "/readyz/*")),
        cluster_role(
            "system:basic-user",
            rule("authorization.k8s.io", ("selfsubjectaccessreviews", "selfsubjectrulesreviews"), review),
            rule("authentication.k8s.io", ("selfsubjectreviews",), review),
        ),
        cluster_role(
            "system:auth-delegator",
            rule("authentication.k8s.io", ("tokenreviews",), review),
            rule("authorization.k8s.io", ("subjectaccessreviews",), review),
        ),
        cluster_role(
            "system:service-account-issuer-discovery",
            paths("/.well-known/openid-configuration", "/openid/v1/jwks"),
        ),
        cluster_role("admin", *_ADMIN, *_EDIT, *_VIEW, from_=("admin",)),
        cluster_role("edit", *_EDIT, *_VIEW, from_=("edit",), aggregate_to="admin"),
        cluster_role("view", *_VIEW, from_=("view",), aggregate_to="edit"),
        cluster_role("system:aggregate-to-admin", *_ADMIN, aggregate_to="admin"),
        cluster_role("system:aggregate-to-edit", *_EDIT, aggregate_to="edit"),
        cluster_role("system:aggregate-to-view", *_VIEW, aggregate_to="view"),
        bound("cluster-admin", "system:masters"),
        bound("system:discovery", "system:authenticated"),
        bound("system:basic-user", "system:authenticated"),
        bound("system:public-info-viewer", "system:authenticated", "system:unauthenticated"),
        bound("system:monitoring", "system:monitoring"),
        bound("system:service-account-issuer-discovery", "system:serviceaccounts"),
        Role(
            metadata=ObjectMeta(
                name="extension-apiserver-authentication-reader",
                namespace="kube-system",
                labels=LABELS,
                annotations=ANNOTATIONS,
            ),
            rules=(
                PolicyRule(
                    api_groups=("",),
                    resources=("configmaps",),
                    resource_names=("extension-apiserver-authentication",),
                    verbs=READ,
                ),
            ),
        ),
    ]  # fmt: skip


async def ensure_bootstrap_roles(client: Client) -> None:
    """Create what is missing; what somebody changed stays as it is."""
    for obj in bootstrap_roles():
        try:
            await client.get(type(obj), obj.metadata.name, obj.metadata.namespace)
        except NotFound:
            await client.create(obj)
