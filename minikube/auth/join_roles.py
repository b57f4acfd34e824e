"""What nodes may do beyond the node authorizer, and machines that join.

kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping
"""

from __future__ import annotations

from minikube.api.meta import Object, ObjectMeta
from minikube.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject
from minikube.auth.bootstrap_tokens import NODE_GROUP
from minikube.pki.node import GROUP as NODES

API_GROUP = "rbac.authorization.k8s.io"
READ = ("get", "list", "watch")
CLUSTER_INFO, INFO_NAMESPACE = "cluster-info", "kube-public"
CLIENT_CA = "extension-apiserver-authentication"
"""The ConfigMap of kube-system in which nodes and API extensions find the CA of clients."""
_CSR = "system:certificates.k8s.io:certificatesigningrequests"


def join_roles() -> list[Object]:
    return [
        _cluster_binding("minikube:node-bootstrapper", "system:node-bootstrapper", NODE_GROUP),
        _cluster_binding("minikube:approve-joining-nodes", f"{_CSR}:nodeclient", NODE_GROUP),
        _cluster_binding("minikube:approve-renewing-nodes", f"{_CSR}:selfnodeclient", NODES),
        _cluster_binding("minikube:nodes-proxy-services", "system:node-proxier", NODES),
        _cluster_binding("minikube:nodes-keep-volumes", "minikube:local-path-volumes", NODES),
        ClusterRole(
            metadata=ObjectMeta(name="minikube:approve-serving"),
            rules=(
                PolicyRule(
                    api_groups=("certificates.k8s.io",),
                    resources=("signers",),
                    resource_names=("kubernetes.io/kubelet-serving",),
                    verbs=("approve",),
                ),
            ),
        ),
        ClusterRoleBinding(
            metadata=ObjectMeta(name="minikube:approve-serving"),
            role_ref=RoleRef(api_group=API_GROUP, kind="ClusterRole", name="minikube:approve-serving"),
            subjects=(Subject(kind="ServiceAccount", name="certificate-controller", namespace="kube-system"),),
        ),
        ClusterRole(
            metadata=ObjectMeta(name="minikube:local-path-volumes"),
            rules=(
                PolicyRule(
                    api_groups=("",), resources=("persistentvolumes",), verbs=("get", "list", "patch", "watch")
                ),
            ),
        ),
        Role(
            metadata=ObjectMeta(name="minikube:cluster-info", namespace=INFO_NAMESPACE),
            rules=(
                PolicyRule(api_groups=("",), resources=("configmaps",), resource_names=(CLUSTER_INFO,), verbs=READ),
            ),
        ),
        _binding("minikube:cluster-info", INFO_NAMESPACE, "minikube:cluster-info", "system:unauthenticated", NODES),
        _binding(
            "minikube:nodes-read-client-ca", "kube-system", "extension-apiserver-authentication-reader", NODES
        ),
    ]


def _cluster_binding(name: str, role: str, group: str) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=name),
        role_ref=RoleRef(api_group=API_GROUP, kind="ClusterRole", name=role),
        subjects=(Subject(api_group=API_GROUP, kind="Group", name=group),),
    )


def _binding(name: str, namespace: str, role: str, *groups: str) -> RoleBinding:
    return RoleBinding(
        metadata=ObjectMeta(name=name, namespace=namespace),
        role_ref=RoleRef(api_group=API_GROUP, kind="Role", name=role),
        subjects=tuple(Subject(api_group=API_GROUP, kind="Group", name=group) for group in groups),
    )
