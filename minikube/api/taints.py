"""Taints and tolerations. Rules: k8s.io/api core/v1 Toleration.ToleratesTaint."""

from __future__ import annotations

from collections.abc import Iterable

from minikube.api.core_v1 import Taint, Toleration


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    if toleration.operator in ("Lt", "Gt"):
        try:
            have, limit = int(taint.value), int(toleration.value)
        except ValueError:
            return False
        return have < limit if toleration.operator == "Lt" else have > limit
    return bool(toleration.key) and toleration.value == taint.value


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)
