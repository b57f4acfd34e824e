"""What each built-in controller may do: ClusterRoles system:controller:<name>, each bound to the service account
kube-system/<name>.

Facts: kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from minikube.api.rbac_v1 import PolicyRule
from minikube.auth.policy_rules import EVENTS, READ, rule

APPS = "apps extensions"
CERTIFICATES = "certificates.k8s.io"
STORAGE = "storage.k8s.io"

WORKLOADS: Mapping[str, tuple[PolicyRule, ...]] = {
    "cronjob-controller": (
        rule(f"{READ} update", "batch", "cronjobs"),
        rule(f"{READ} create update delete patch", "batch", "jobs"),
        rule("update", "batch", "cronjobs/status"),
        rule("update", "batch", "cronjobs/finalizers"),
        rule("list watch delete", "core", "pods"),
        EVENTS,
    ),
    "daemon-set-controller": (
        rule(READ, APPS, "daemonsets"),
        rule("update", APPS, "daemonsets/status"),
        rule("update", APPS, "daemonsets/finalizers"),
        rule("list watch", "core", "nodes"),
        rule("list watch create delete patch", "core", "pods"),
        rule("create", "core", "pods/binding"),
        rule(f"{READ} create delete update patch", "apps", "controllerrevisions"),
        EVENTS,
    ),
    "deployment-controller": (
        rule(f"{READ} update", APPS, "deployments"),
        rule("update", APPS, "deployments/status"),
        rule("update", APPS, "deployments/finalizers"),
        rule(f"{READ} create update patch delete", APPS, "replicasets"),
        rule(f"{READ} update", "core", "pods"),
        EVENTS,
    ),
    "disruption-controller": (
        rule(READ, APPS, "deployments"),
        rule(READ, APPS, "replicasets"),
        rule(READ, "core", "replicationcontrollers"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "policy", "poddisruptionbudgets/status"),
        rule("patch update", "core", "pods/status"),
        rule("get", "*", "*/scale"),
        EVENTS,
    ),
    "horizontal-pod-autoscaler": (
        rule(READ, "autoscaling", "horizontalpodautoscalers"),
        rule("update", "autoscaling", "horizontalpodautoscalers/status"),
        rule("get update", "*", "*/scale"),
        rule("list watch", "core", "pods"),
        rule("list watch", "metrics.k8s.io", "pods"),
        rule(READ, "custom.metrics.k8s.io", "*"),
        rule(READ, "external.metrics.k8s.io", "*"),
        EVENTS,
    ),
    "job-controller": (
        rule(f"{READ} update patch", "batch", "jobs"),
        rule("update", "batch", "jobs/status"),
        rule("update", "batch", "jobs/finalizers"),
        rule("list watch create delete patch", "core", "pods"),
        EVENTS,
    ),
    "replicaset-controller": (
        rule(f"{READ} update", APPS, "replicasets"),
        rule("update", APPS, "replicasets/status"),
        rule("update", APPS, "replicasets/finalizers"),
        rule("list watch patch create delete", "core", "pods"),
        EVENTS,
    ),
    "replication-controller": (
        rule(f"{READ} update", "core", "replicationcontrollers"),
        rule("update", "core", "replicationcontrollers/status"),
        rule("update", "core", "replicationcontrollers/finalizers"),
        rule("list watch patch create delete", "core", "pods"),
        EVENTS,
    ),
    "statefulset-controller": (
        rule("list watch", "core", "pods"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "apps", "statefulsets/status"),
        rule("update", "apps", "statefulsets/finalizers"),
        rule("get create delete update patch", "core", "pods"),
        rule(f"{READ} create delete update patch", "apps", "controllerrevisions"),
        rule(f"{READ} create", "core", "persistentvolumeclaims"),
        rule("update delete", "core", "persistentvolumeclaims"),
        rule("update", "core", "pods/finalizers"),
        EVENTS,
    ),
    "ttl-after-finished-controller": (rule(f"{READ} delete", "batch", "jobs"), EVENTS),
}

NETWORK: Mapping[str, tuple[PolicyRule, ...]] = {
    "endpoint-controller": (
        rule(READ, "core", "services pods"),
        rule(f"{READ} create update delete", "core", "endpoints"),
        rule("create", "core", "endpoints/restricted"),
        EVENTS,
    ),
    "endpointslice-controller": (
        rule(READ, "core", "services pods nodes"),
        rule("update", "core", "services/finalizers"),
        rule(f"{READ} create update delete", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        rule(READ, "core", "services endpoints"),
        rule("update", "core", "services/finalizers"),
        rule("update", "core", "endpoints/finalizers"),
        rule(f"{READ} create update delete", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "route-controller": (
        rule("list watch", "core", "nodes"),
        rule("patch", "core", "nodes/status"),
        EVENTS,
    ),
    "service-controller": (
        rule(READ, "core", "services"),
        rule("patch update", "core", "services/status"),
        rule("list watch", "core", "nodes"),
        EVENTS,
    ),
    "service-cidrs-controller": (
        rule(f"{READ} patch update", "networking.k8s.io", "servicecidrs"),
        rule("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
        rule("patch update", "networking.k8s.io", "servicecidrs/status"),
        rule(READ, "networking.k8s.io", "ipaddresses"),
        EVENTS,
    ),
}

VOLUMES: Mapping[str, tuple[PolicyRule, ...]] = {
    "attachdetach-controller": (
        rule("list watch", "core", "persistentvolumes persistentvolumeclaims"),
        rule(READ, "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("list watch", "core", "pods"),
        EVENTS,
        rule(f"{READ} create delete", STORAGE, "volumeattachments"),
        rule(READ, STORAGE, "csidrivers"),
        rule(READ, STORAGE, "csinodes"),
    ),
    "ephemeral-volume-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule(f"{READ} create", "core", "persistentvolumeclaims"),
        EVENTS,
    ),
    "expand-controller": (
        rule(f"{READ} update patch", "core", "persistentvolumes"),
        rule("update patch", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "persistentvolumeclaims"),
        EVENTS,
    ),
    "local-path-provisioner": (
        rule(f"{READ} update create delete", "core", "persistentvolumes"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "nodes"),
        rule(READ, STORAGE, "storageclasses"),
        EVENTS,
    ),
    "persistent-volume-binder": (
        rule(f"{READ} update create delete", "core", "persistentvolumes"),
        rule("update", "core", "persistentvolumes/status"),
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(f"{READ} create delete", "core", "pods"),
        rule(READ, STORAGE, "storageclasses"),
        rule("list watch", "core", "nodes"),
        EVENTS,
        rule("watch", "core", "events"),
    ),
    "pv-protection-controller": (rule(f"{READ} update", "core", "persistentvolumes"), EVENTS),
    "pvc-protection-controller": (
        rule(f"{READ} update", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "pods"),
        EVENTS,
    ),
    "selinux-warning-controller": (
        EVENTS,
        rule(READ, "core", "persistentvolumes"),
        rule(READ, "core", "persistentvolumeclaims"),
        rule(READ, "core", "pods"),
        rule(READ, STORAGE, "csidrivers"),
    ),
    "volumeattributesclass-protection-controller": (
        rule(READ, "core", "persistentvolumeclaims"),
        rule(READ, "core", "persistentvolumes"),
        rule(f"{READ} update", STORAGE, "volumeattributesclasses"),
        EVENTS,
    ),
}

CLUSTER: Mapping[str, tuple[PolicyRule, ...]] = {
    "certificate-controller": (
        rule(f"{READ} delete", CERTIFICATES, "certificatesigningrequests"),
        rule("update", CERTIFICATES, "certificatesigningrequests/status certificatesigningrequests/approval"),
        rule("approve", CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
        rule(
            "sign",
            CERTIFICATES,
            "signers",
            "kubernetes.io/legacy-unknown",
            "kubernetes.io/kube-apiserver-client",
            "kubernetes.io/kube-apiserver-client-kubelet",
            "kubernetes.io/kubelet-serving",
        ),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        EVENTS,
    ),
    "clusterrole-aggregation-controller": (
        rule(f"{READ} escalate update patch", "rbac.authorization.k8s.io", "clusterroles"),
    ),
    "device-taint-eviction-controller": (
        rule(f"{READ} delete", "core", "pods"),
        rule("update patch", "core", "pods/status"),
        rule(READ, "resource.k8s.io", "resourceclaims"),
        rule(READ, "resource.k8s.io", "resourceslices"),
        rule(READ, "resource.k8s.io", "deviceclasses"),
        rule(READ, "resource.k8s.io", "devicetaintrules"),
        EVENTS,
    ),
    "generic-garbage-collector": (rule(f"{READ} patch update delete", "*", "*"), EVENTS),
    "legacy-service-account-token-cleaner": (
        rule("get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
        rule("patch delete", "core", "secrets"),
    ),
    "namespace-controller": (
        rule(f"{READ} delete", "core", "namespaces"),
        rule("update", "core", "namespaces/finalize namespaces/status"),
        rule(f"{READ} delete deletecollection", "*", "*"),
    ),
    "node-controller": (
        rule(f"{READ} update delete patch", "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        rule("patch update", "core", "pods/status"),
        rule(f"{READ} delete", "core", "pods"),
        EVENTS,
    ),
    "pod-garbage-collector": (
        rule("list watch delete", "core", "pods"),
        rule(READ, "core", "nodes"),
        rule("patch", "core", "pods/status"),
    ),
    "podcertificaterequestcleaner": (rule(f"{READ} delete", CERTIFICATES, "podcertificaterequests"),),
    "resource-claim-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule(f"{READ} create delete", "resource.k8s.io", "resourceclaims"),
        rule("update patch", "resource.k8s.io", "resourceclaims resourceclaims/status"),
        rule("update patch", "core", "pods/status"),
        EVENTS,
        rule("update patch", "resource.k8s.io", "resourceclaims/binding"),
    ),
    "resourcequota-controller": (
        rule("list watch", "*", "*"),
        rule("update", "core", "resourcequotas/status"),
        EVENTS,
    ),
    "root-ca-cert-publisher": (rule("create update", "core", "configmaps"), EVENTS),
    "service-account-controller": (rule("create", "core", "serviceaccounts"), EVENTS),
    "storage-version-migrator-controller": (
        rule("list watch create patch", "*", "*"),
        rule("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
    ),
    "ttl-controller": (rule("update patch list watch", "core", "nodes"), EVENTS),
    "validatingadmissionpolicy-status-controller": (
        rule(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
        rule("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
        EVENTS,
    ),
}

CONTROLLER_RULES: Mapping[str, tuple[PolicyRule, ...]] = {**WORKLOADS, **NETWORK, **VOLUMES, **CLUSTER}
