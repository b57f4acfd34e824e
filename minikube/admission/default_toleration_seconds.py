"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or not reachable.

Rules: kubernetes plugin/pkg/admission/defaulttolerationseconds.
"""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.api.well_known import NOT_READY, UNREACHABLE

TAINTS = (NOT_READY, UNREACHABLE)
SECONDS = 300


class DefaultTolerationSeconds:
    name: ClassVar[str] = "DefaultTolerationSeconds"

    async def admit(self, request: Attributes) -> None:
        resource = request.resource
        if (resource.group, resource.plural, request.subresource) != ("", "pods", "") or request.object is None:
            return
        if request.operation not in ("CREATE", "UPDATE"):
            return
        spec = request.object.setdefault("spec", {})
        tolerations = list(spec.get("tolerations") or ())
        for taint in TAINTS:
            if not any(_tolerates(toleration, taint) for toleration in tolerations):
                tolerations.append(
                    {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                )
        spec["tolerations"] = tolerations


def _tolerates(toleration: dict[str, object], taint: str) -> bool:
    key = toleration.get("key")
    return key in (taint, "", None) and toleration.get("effect") in ("NoExecute", "", None)
