"""TaintNodesByCondition: a new node is not ready until its own condition says so.

Rules: kubernetes plugin/pkg/admission/nodetaint.
"""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_new
from minikube.api.well_known import NOT_READY

TAINT = {"key": NOT_READY, "effect": "NoSchedule"}


class TaintNodesByCondition:
    name: ClassVar[str] = "TaintNodesByCondition"

    async def admit(self, request: Attributes) -> None:
        if not is_new(request, "", "nodes") or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any((taint.get("key"), taint.get("effect")) == tuple(TAINT.values()) for taint in taints):
            spec["taints"] = [*taints, dict(TAINT)]
