"""DefaultIngressClass: an Ingress that names no class gets the default one.

Rules: kubernetes plugin/pkg/admission/network/defaultingressclass.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_new
from minikube.api.networking_v1 import IngressClass
from minikube.client.base import Lister

DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LEGACY = "kubernetes.io/ingress.class"
NEVER = datetime.min.replace(tzinfo=UTC)


class DefaultIngressClass:
    name: ClassVar[str] = "DefaultIngressClass"

    def __init__(self, classes: Lister[IngressClass]) -> None:
        self._classes = classes

    async def admit(self, request: Attributes) -> None:
        """The newest of several defaults, then the first by name."""
        if not is_new(request, "networking.k8s.io", "ingresses") or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        if spec.get("ingressClassName") or LEGACY in (request.object["metadata"].get("annotations") or {}):
            return
        defaults = [one for one in self._classes.list() if one.metadata.annotations.get(DEFAULT) == "true"]
        defaults.sort(key=lambda one: one.metadata.name)
        defaults.sort(key=lambda one: one.metadata.creation_timestamp or NEVER, reverse=True)
        if defaults:
            spec["ingressClassName"] = defaults[0].metadata.name
