"""As whom the built-in controllers act: each has its own service account, as upstream's have."""

from __future__ import annotations

from minikube.auth.base import AUTHENTICATED, User

_MANAGERS = {
    "api-services": "kube-apiserver",
    "cluster-authentication-info": "kube-apiserver",
    "clusterrole-aggregation-controller": "clusterrole-aggregation-controller",
    "flow-control": "api-priority-and-fairness-config-consumer-v1",
    "local-path-provisioner": "local-path-provisioner",
    "scheduler": "kube-scheduler",
    "validatingadmissionpolicy-status-controller": "validatingadmissionpolicy-status",
}


def user_of(name: str) -> User:
    """The service account of the controller of this name."""
    return User(
        f"system:serviceaccount:kube-system:{name}",
        groups=("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED),
    )


def manager_of(name: str) -> str:
    """As whom it shows in managedFields: there it is the program, and tools look for it."""
    return _MANAGERS.get(name, "kube-controller-manager")
