"""Priority: a pod's priority comes from its class, or from the class that is the default.

Rules: kubernetes plugin/pkg/admission/priority.
"""

from __future__ import annotations

from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.api.scheduling_v1 import PriorityClass
from minikube.client.base import Lister
from minikube.errors import Forbidden

SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Priority:
    name: ClassVar[str] = "Priority"

    def __init__(self, classes: Lister[PriorityClass]) -> None:
        self._classes = classes

    async def admit(self, request: Attributes) -> None:
        resource = request.resource
        if (resource.group, resource.plural, request.subresource) != ("", "pods", "") or request.object is None:
            return
        spec = request.object.setdefault("spec", {})
        if request.operation == "UPDATE":
            _keep(spec, (request.old or {}).get("spec") or {})
            return
        if request.operation != "CREATE":
            return
        name, value, policy = self._priority(request, spec.get("priorityClassName") or "")
        if spec.get("priority") not in (None, value):
            why = (
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name"
            )
            raise Forbidden.of("pods", "", request.name, why)
        if spec.get("preemptionPolicy") not in (None, policy):
            why = (
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod "
                f"spec; priority admission controller computed {policy} from the given PriorityClass name"
            )
            raise Forbidden.of("pods", "", request.name, why)
        if name:
            spec["priorityClassName"] = name
        spec["priority"] = value
        spec["preemptionPolicy"] = policy

    async def validate(self, request: Attributes) -> None:
        """Only one class is the default."""
        resource = request.resource
        if (resource.group, resource.plural) != ("scheduling.k8s.io", "priorityclasses") or request.object is None:
            return
        if not request.object.get("globalDefault"):
            return
        for other in self._classes.list():
            if other.global_default and other.metadata.name != request.name:
                why = (
                    f"PriorityClass {other.metadata.name} is already marked as default. Only one default can exist"
                )
                raise Forbidden.of(resource.plural, resource.group, request.name, why)

    def _priority(self, request: Attributes, name: str) -> tuple[str, int, str]:
        if not name:
            defaults = [one for one in self._classes.list() if one.global_default]
            if not defaults:
                return "", 0, "PreemptLowerPriority"
            chosen = min(defaults, key=lambda one: one.value or 0)
            return chosen.metadata.name, chosen.value or 0, chosen.preemption_policy or "PreemptLowerPriority"
        found = self._classes.get(name)
        if found is not None:
            return name, found.value or 0, found.preemption_policy or "PreemptLowerPriority"
        if name in SYSTEM_CLASSES:
            return name, SYSTEM_CLASSES[name], "PreemptLowerPriority"
        raise Forbidden.of("pods", "", request.name, f"no PriorityClass with name {name} was found")


def _keep(spec: dict[str, Any], old: dict[str, Any]) -> None:
    """An update that leaves out what admission filled in keeps it."""
    for field in ("priority", "preemptionPolicy"):
        if spec.get(field) is None and old.get(field) is not None:
            spec[field] = old[field]
