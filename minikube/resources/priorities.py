"""Where API groups and their versions stand: first the more important ones, in discovery and as APIServices.

Facts: kubernetes pkg/controlplane/apiserver (the default API service priorities); custom resources come last.
"""

from __future__ import annotations

GROUPS = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
    "storagemigration.k8s.io": 15800,
}
"""The groups that register themselves as APIServices; apiregistration.k8s.io, which serves those, does not."""
_VERSIONS = {("", "v1"): 1, ("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21}
_STABLE, _UNSTABLE = 15, 9
CUSTOM = (1000, 100)


def priorities(group: str, version: str) -> tuple[int, int]:
    """(groupPriorityMinimum, versionPriority) of a built-in group version."""
    unstable = "alpha" in version or "beta" in version
    return GROUPS[group], _VERSIONS.get((group, version), _UNSTABLE if unstable else _STABLE)
