"""Which labels a node may give itself: rules of k8s.io/kubelet/pkg/apis and NodeRestriction."""

from __future__ import annotations

OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
        "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
        "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
    }
)  # fmt: skip
OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
RESTRICTED = "node-restriction.kubernetes.io"


def may_label_itself(key: str) -> bool:
    """Anything outside kubernetes.io and k8s.io, and of those the kubelet's own."""
    namespace = key.partition("/")[0] if "/" in key else ""
    if _within(namespace, RESTRICTED):
        return False
    if not _within(namespace, "kubernetes.io") and not _within(namespace, "k8s.io"):
        return True
    return key in OWN_LABELS or any(_within(namespace, each) for each in OWN_NAMESPACES)


def _within(namespace: str, domain: str) -> bool:
    return namespace == domain or namespace.endswith("." + domain)
