"""The kubelet's URLs, and what somebody must be allowed to do to use them.

Rules: k8s.io/kubernetes/pkg/kubelet/server auth.go: a path is a subresource of the node, and whatever has no finer
one is `nodes/proxy`.
"""

from __future__ import annotations

from collections.abc import Sequence

VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUBRESOURCES = {"stats": "stats", "metrics": "metrics", "logs": "log", "checkpoint": "checkpoint"}
_FINE = {"pods": "pods", "runningPods": "pods", "runningpods": "pods", "healthz": "healthz", "configz": "configz"}


def parts_of(path: str) -> Sequence[str]:
    return [part for part in path.split("/") if part]


def subresources_of(path: str) -> Sequence[str]:
    """Any one of them suffices, the finest first."""
    first = (parts_of(path) or [""])[0]
    if first in _FINE:
        return _FINE[first], "proxy"
    return (_SUBRESOURCES.get(first, "proxy"),)
