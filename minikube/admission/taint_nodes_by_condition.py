"""TaintNodesByCondition: a new node is not ready until its own condition says so.

Rules: kubernetes plugin/pkg/admission/nodetaint.
"""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_new

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    name: ClassVar[str] = "TaintNodesByCondition"

    async def admit(self, request: Attributes) -> None:
        if not is_new(request, "", "nodes") or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any((taint.get("key"), taint.get("effect")) == tuple(NOT_READY.values()) for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
