"""Names that several rooms must spell alike. Source: k8s.io/api core/v1 and discovery/v1 well_known_*.go."""

from __future__ import annotations

NODE_LEASES = "kube-node-lease"
"""The namespace of the leases with which nodes say that they are alive."""

SERVICE_NAME = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""

MIRROR_POD = "kubernetes.io/config.mirror"
"""The annotation of what shows a static pod."""

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
"""Keys of taints."""

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
MASTERS = "system:masters"
"""Groups of users."""
