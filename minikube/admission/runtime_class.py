"""RuntimeClass: a pod's class must exist; its overhead and where it can run are copied into the pod.

Rules: kubernetes plugin/pkg/admission/runtimeclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_new
from minikube.api.meta import to_dict
from minikube.api.node_v1 import RuntimeClass
from minikube.api.resource_list import read
from minikube.client.base import Lister
from minikube.errors import Forbidden


class RuntimeClassAdmission:
    name: ClassVar[str] = "RuntimeClass"

    def __init__(self, classes: Lister[RuntimeClass]) -> None:
        self._classes = classes

    async def admit(self, request: Attributes) -> None:
        if not is_new(request, "", "pods") or request.object is None:
            return
        of = self._of(request)
        if of is None:
            return
        spec = request.object["spec"]
        if of.overhead is not None:
            wanted = dict(of.overhead.pod_fixed)
            if spec.get("overhead") and read(spec["overhead"]) != read(wanted):
                why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                raise Forbidden.of("pods", "", request.name, why)
            spec["overhead"] = wanted
        if of.scheduling is not None:
            _schedule(request, spec, to_dict(of.scheduling))

    async def validate(self, request: Attributes) -> None:
        if not is_new(request, "", "pods") or request.object is None:
            return
        of = self._of(request)
        overhead = request.object["spec"].get("overhead")
        if overhead and (of is None or of.overhead is None):
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise Forbidden.of("pods", "", request.name, why)

    def _of(self, request: Attributes) -> RuntimeClass | None:
        """Raises Forbidden for one that is not there."""
        name = ((request.object or {}).get("spec") or {}).get("runtimeClassName")
        if not name:
            return None
        found = self._classes.get(name)
        if found is None:
            raise Forbidden.of("pods", "", request.name, f'pod rejected: RuntimeClass "{name}" not found')
        return found


def _schedule(request: Attributes, spec: dict[str, Any], scheduling: Mapping[str, Any]) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        if selector.setdefault(key, value) != value:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {selector[key]}"
            )
            raise Forbidden.of("pods", "", request.name, why)
    if selector:
        spec["nodeSelector"] = selector
    more = [one for one in scheduling.get("tolerations") or () if one not in (spec.get("tolerations") or ())]
    if more:
        spec["tolerations"] = [*(spec.get("tolerations") or ()), *more]
