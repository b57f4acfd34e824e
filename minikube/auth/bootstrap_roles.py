"""Roles and bindings that every cluster has: kubernetes.io/docs/reference/access-authn-authz/rbac#default-roles.

Facts: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy (policy.go and namespace_policy.go).
"""

from __future__ import annotations

from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import LabelSelector
from minikube.api.rbac_v1 import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from minikube.auth.controller_roles import CONTROLLER_RULES
from minikube.auth.policy_rules import CHANGE, EVENTS, GROUP, READ, READ_UPDATE, everything, paths, rule

LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
ANNOTATIONS = {AUTOUPDATE: "true"}

CERTIFICATES = "certificates.k8s.io"
STORAGE = "storage.k8s.io"
APPS_WRITABLE = "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale"
APPS_READABLE = (
    "daemonsets daemonsets/status deployments deployments/scale deployments/status "
    "replicasets replicasets/scale replicasets/status"
)
_TOKEN_REVIEW = rule("create", "authentication.k8s.io", "tokenreviews")
_ACCESS_REVIEW = rule("create", "authorization.k8s.io", "subjectaccessreviews")

VIEW = (
    rule(
        READ,
        "core",
        "pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status "
        "endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps",
    ),
    rule(
        READ,
        "core",
        "limitranges resourcequotas bindings events pods/status resourcequotas/status namespaces/status "
        "replicationcontrollers/status pods/log",
    ),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        f"controllerrevisions statefulsets statefulsets/scale statefulsets/status {APPS_READABLE}",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(
        READ,
        "extensions",
        f"ingresses ingresses/status networkpolicies replicationcontrollers/scale {APPS_READABLE}",
    ),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
)
EDIT = (
    rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(CHANGE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "core", "pods/eviction"),
    rule(
        CHANGE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    rule("create", "core", "serviceaccounts/token"),
    rule(CHANGE, "apps", f"statefulsets statefulsets/scale {APPS_WRITABLE}"),
    rule(CHANGE, "autoscaling", "horizontalpodautoscalers"),
    rule(CHANGE, "batch", "cronjobs jobs"),
    rule(CHANGE, "extensions", f"ingresses networkpolicies replicationcontrollers/scale {APPS_WRITABLE}"),
    rule(CHANGE, "policy", "poddisruptionbudgets"),
    rule(CHANGE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(f"{CHANGE} {READ}", "coordination.k8s.io", "leases"),
    rule(CHANGE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
)
ADMIN = (
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(f"{CHANGE} {READ}", GROUP, "rolebindings roles"),
)
NODE = (
    _TOKEN_REVIEW,
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    rule(READ, "core", "services"),
    rule(f"create {READ}", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    rule("patch update", "core", "nodes"),
    rule("create patch update", "core", "events"),
    rule(READ, "core", "pods"),
    rule("create delete", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes"),
    rule("get", "core", "endpoints"),
    rule(f"create {READ}", CERTIFICATES, "certificatesigningrequests"),
    rule(READ, CERTIFICATES, "clustertrustbundles"),
    rule(f"create {READ}", CERTIFICATES, "podcertificaterequests"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("get", STORAGE, "volumeattachments"),
    rule("create", "core", "serviceaccounts/token"),
    rule("get patch update", "core", "persistentvolumeclaims/status"),
    rule(READ, STORAGE, "csidrivers"),
    rule("create delete get patch update", STORAGE, "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule("deletecollection", "resource.k8s.io", "resourceslices"),
    rule(f"create delete patch update {READ}", "resource.k8s.io", "resourceslices"),
)
SCHEDULER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    rule("create list watch", "coordination.k8s.io", "leasecandidates"),
    rule(READ, "core", "nodes"),
    rule(f"delete {READ}", "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule(READ, "core", "replicationcontrollers services"),
    rule(READ, "apps extensions", "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
    _TOKEN_REVIEW,
    _ACCESS_REVIEW,
    rule(READ, STORAGE, "csinodes"),
    rule(READ, "core", "namespaces"),
    rule(READ, STORAGE, "csidrivers"),
    rule(READ, STORAGE, "csistoragecapacities"),
    rule(READ, STORAGE, "volumeattachments"),
    rule(READ, "resource.k8s.io", "deviceclasses"),
    rule(READ_UPDATE, "resource.k8s.io", "resourceclaims"),
    rule(READ_UPDATE, "resource.k8s.io", "resourceclaims/status"),
    rule(READ_UPDATE, "core", "pods/finalizers"),
    rule(READ, "resource.k8s.io", "resourceslices"),
)
CONTROLLER_MANAGER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    rule("create", "core", "secrets serviceaccounts"),
    rule("delete", "core", "secrets"),
    rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
    rule("update", "core", "secrets serviceaccounts"),
    _TOKEN_REVIEW,
    _ACCESS_REVIEW,
    rule("list watch", "*", "*"),
    rule("create", "core", "serviceaccounts/token"),
)
HEALTH = ("/healthz", "/livez", "/readyz")
SYSTEM: dict[str, tuple[PolicyRule, ...]] = {
    "cluster-admin": everything(),
    "system:auth-delegator": (_TOKEN_REVIEW, _ACCESS_REVIEW),
    "system:basic-user": (
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        rule("create", "authentication.k8s.io", "selfsubjectreviews"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        rule("create", CERTIFICATES, "certificatesigningrequests/nodeclient"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        rule("create", CERTIFICATES, "certificatesigningrequests/selfnodeclient"),
    ),
    **{
        f"system:certificates.k8s.io:{signer}-approver": (
            rule("approve", CERTIFICATES, "signers", f"kubernetes.io/{signer}"),
        )
        for signer in (
            "kube-apiserver-client",
            "kube-apiserver-client-kubelet",
            "kubelet-serving",
            "legacy-unknown",
        )
    },
    "system:discovery": (
        paths(*HEALTH, "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/"),
    ),
    "system:heapster": (
        rule(READ, "core", "events namespaces nodes pods"),
        rule(READ, "extensions", "deployments"),
    ),
    "system:kube-aggregator": (rule(READ, "core", "endpoints services"),),
    "system:kube-controller-manager": CONTROLLER_MANAGER,
    "system:kube-dns": (rule("list watch", "core", "endpoints services"),),
    "system:kube-scheduler": SCHEDULER,
    "system:kubelet-api-admin": (
        rule(READ, "core", "nodes"),
        rule("proxy", "core", "nodes"),
        rule(
            "*",
            "core",
            "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats",
        ),
    ),
    "system:monitoring": (
        paths(*HEALTH, *(f"{path}/*" for path in HEALTH), "/flagz", "/metrics", "/metrics/slis", "/statusz"),
    ),
    "system:node": NODE,
    "system:node-bootstrapper": (rule(f"create {READ}", CERTIFICATES, "certificatesigningrequests"),),
    "system:node-problem-detector": (
        rule("get", "core", "nodes"),
        rule("patch", "core", "nodes/status"),
        EVENTS,
    ),
    "system:node-proxier": (
        rule("list watch", "core", "endpoints services"),
        rule(READ, "core", "nodes"),
        EVENTS,
        rule("list watch", "discovery.k8s.io", "endpointslices"),
        rule("list watch", "networking.k8s.io", "servicecidrs"),
    ),
    "system:persistent-volume-provisioner": (
        rule(f"create delete {READ}", "core", "persistentvolumes"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule(READ, STORAGE, "storageclasses"),
        rule("watch", "core", "events"),
        EVENTS,
    ),
    "system:public-info-viewer": (paths(*HEALTH, "/version", "/version/"),),
    "system:service-account-issuer-discovery": (paths("/.well-known/openid-configuration", "/openid/v1/jwks"),),
    "system:volume-scheduler": (
        rule(READ_UPDATE, "core", "persistentvolumes"),
        rule(READ, STORAGE, "storageclasses"),
        rule(READ_UPDATE, "core", "persistentvolumeclaims"),
    ),
}


def cluster_roles() -> list[ClusterRole]:
    def aggregate_to(name: str) -> dict[str, str]:
        return {f"{GROUP}/aggregate-to-{name}": "true"}

    def aggregated(name: str, into: str = "") -> ClusterRole:
        selector = LabelSelector(match_labels=aggregate_to(name))
        labels = LABELS | (aggregate_to(into) if into else {})
        rule = AggregationRule(cluster_role_selectors=(selector,))
        return ClusterRole(metadata=_meta(name, labels), aggregation_rule=rule)

    parts = (("admin", ADMIN), ("edit", EDIT), ("view", VIEW))
    return [
        aggregated("admin"),
        aggregated("edit", into="admin"),
        aggregated("view", into="edit"),
        *(
            ClusterRole(
                metadata=_meta(f"system:aggregate-to-{name}", labels=LABELS | aggregate_to(name)), rules=rules
            )
            for name, rules in parts
        ),
        *(ClusterRole(metadata=_meta(name), rules=rules) for name, rules in SYSTEM.items()),
        *(
            ClusterRole(metadata=_meta(f"system:controller:{name}"), rules=rules)
            for name, rules in CONTROLLER_RULES.items()
        ),
    ]


def cluster_role_bindings() -> list[ClusterRoleBinding]:
    authenticated, unauthenticated = "system:authenticated", "system:unauthenticated"
    return [
        bound("cluster-admin", groups=("system:masters",)),
        bound("system:monitoring", groups=("system:monitoring",)),
        bound("system:discovery", groups=(authenticated,)),
        bound("system:basic-user", groups=(authenticated,)),
        bound("system:public-info-viewer", groups=(authenticated, unauthenticated)),
        bound("system:node-proxier", users=("system:kube-proxy",)),
        bound("system:kube-controller-manager", users=("system:kube-controller-manager",)),
        bound("system:kube-dns", accounts=("kube-dns",)),
        bound("system:kube-scheduler", users=("system:kube-scheduler",)),
        bound("system:volume-scheduler", users=("system:kube-scheduler",)),
        bound("system:node"),
        bound("system:service-account-issuer-discovery", groups=("system:serviceaccounts",)),
        *(bound(f"system:controller:{name}", accounts=(name,)) for name in CONTROLLER_RULES),
    ]


def roles() -> list[Role]:
    def role(name: str, namespace: str, *rules: PolicyRule) -> Role:
        return Role(metadata=_meta(name, namespace=namespace), rules=rules)

    def leader(component: str) -> Role:
        return role(
            f"system::leader-locking-{component}",
            "kube-system",
            rule("watch", "core", "configmaps"),
            rule("get update", "core", "configmaps", component),
        )

    return [
        role(
            "extension-apiserver-authentication-reader",
            "kube-system",
            rule(READ, "core", "configmaps", "extension-apiserver-authentication"),
        ),
        role("system:controller:bootstrap-signer", "kube-system", rule(READ, "core", "secrets")),
        role("system:controller:cloud-provider", "kube-system", rule(f"create {READ}", "core", "configmaps")),
        role("system:controller:token-cleaner", "kube-system", rule(f"{READ} delete", "core", "secrets"), EVENTS),
        leader("kube-controller-manager"),
        leader("kube-scheduler"),
        role(
            "system:controller:bootstrap-signer",
            "kube-public",
            rule(READ, "core", "configmaps"),
            rule("update", "core", "configmaps", "cluster-info"),
            EVENTS,
        ),
    ]


def role_bindings() -> list[RoleBinding]:
    manager, scheduler = "system:kube-controller-manager", "system:kube-scheduler"
    reader = "extension-apiserver-authentication-reader"

    def binding(role: str, users: tuple[str, ...], *accounts: str, **given: str) -> RoleBinding:
        name, namespace = given.get("name", role), given.get("namespace", "kube-system")
        return RoleBinding(
            metadata=_meta(name, namespace=namespace),
            role_ref=RoleRef(api_group=GROUP, kind="Role", name=role),
            subjects=_subjects(users=users, accounts=accounts),
        )

    leading = "system::leader-locking-kube"
    return [
        binding(reader, (manager, scheduler), name=f"system::{reader}"),
        binding(f"{leading}-controller-manager", (manager,), "kube-controller-manager"),
        binding(f"{leading}-scheduler", (scheduler,), "kube-scheduler"),
        binding("system:controller:bootstrap-signer", (), "bootstrap-signer"),
        binding("system:controller:cloud-provider", (), "cloud-provider"),
        binding("system:controller:token-cleaner", (), "token-cleaner"),
        binding("system:controller:bootstrap-signer", (), "bootstrap-signer", namespace="kube-public"),
    ]


def bound(
    role: str, *, groups: tuple[str, ...] = (), users: tuple[str, ...] = (), accounts: tuple[str, ...] = ()
) -> ClusterRoleBinding:
    """The binding of the same name as its ClusterRole; `accounts` are service accounts in kube-system."""
    return ClusterRoleBinding(
        metadata=_meta(role),
        role_ref=RoleRef(api_group=GROUP, kind="ClusterRole", name=role),
        subjects=_subjects(groups, users, accounts),
    )


def _subjects(
    groups: tuple[str, ...] = (), users: tuple[str, ...] = (), accounts: tuple[str, ...] = ()
) -> tuple[Subject, ...]:
    return (
        *(Subject(api_group=GROUP, kind="Group", name=name) for name in groups),
        *(Subject(api_group=GROUP, kind="User", name=name) for name in users),
        *(Subject(kind="ServiceAccount", name=name, namespace="kube-system") for name in accounts),
    )


def _meta(name: str, labels: dict[str, str] = LABELS, *, namespace: str = "") -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, labels=labels, annotations=ANNOTATIONS)
