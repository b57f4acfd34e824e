"""The quality of service class of a pod (pkg/apis/core/v1/helper/qos.ComputePodQOS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minikube.api import quantity
from minikube.api.core_v1 import PodSpec, ResourceRequirements
from minikube.api.meta import Quantity

_COUNTED = frozenset({"cpu", "memory"})


def _asked(amounts: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {n: a for n, a in amounts.items() if n in _COUNTED and quantity.valid(a) and quantity.parse(a) > 0}


def qos_class(spec: PodSpec) -> str:
    """Guaranteed: all limit CPU and memory to what they request; BestEffort: none asks; else Burstable."""
    if spec.resources and (_asked(spec.resources.requests) or _asked(spec.resources.limits)):
        wants: Sequence[ResourceRequirements] = (spec.resources,)
    else:
        every = (*spec.containers, *spec.init_containers)
        wants = tuple(one.resources or ResourceRequirements() for one in every)
    guaranteed, asked = True, False
    for want in wants:
        limits = _asked(want.limits)
        requests = {**limits, **_asked(want.requests)}
        asked = asked or bool(requests)
        same = all(
            name in limits and quantity.parse(limits[name]) == quantity.parse(requests[name]) for name in requests
        )
        guaranteed = guaranteed and same and limits.keys() == _COUNTED
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
