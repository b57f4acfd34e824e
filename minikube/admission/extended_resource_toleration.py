"""ExtendedResourceToleration: pods that ask for an extended resource tolerate its taint. Off by default.

Rules: kubernetes plugin/pkg/admission/extendedresourcetoleration.
"""

from __future__ import annotations

from typing import ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_new


class ExtendedResourceToleration:
    name: ClassVar[str] = "ExtendedResourceToleration"

    async def admit(self, request: Attributes) -> None:
        if not is_new(request, "", "pods") or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        asked = {
            name
            for field in ("containers", "initContainers")
            for container in spec.get(field) or ()
            for name in ((container.get("resources") or {}).get("requests") or {})
            if "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")
        }
        tolerations = list(spec.get("tolerations") or ())
        for name in sorted(asked):
            toleration = {"key": name, "operator": "Exists"}
            if toleration not in tolerations:
                tolerations.append(toleration)
        if asked:
            spec["tolerations"] = tolerations
