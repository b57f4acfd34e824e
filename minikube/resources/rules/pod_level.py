"""Resources of whole pods: what they default to, and how they fit those of the containers (defaultPodRequests,
defaultPodLimits, validatePodResourceConsistency)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from minikube.api.core_v1 import PodSpec, ResourceRequirements
from minikube.api.resource_list import container_limits, limits_of_containers, read, requests_of_containers, written
from minikube.errors import FieldError
from minikube.resources.base import Obj
from minikube.resources.rules.amounts import HUGE, requirements
from minikube.resources.rules.invalid import at, invalid, key, not_supported

_SUPPORTED = ("cpu", HUGE, "memory")


def _supported(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith(HUGE)


def default(new: Obj) -> None:
    """Fill in the limits and requests of a pod that has some of its own."""
    resources = (new.get("spec") or {}).get("resources")
    if not isinstance(resources, dict) or not (resources.get("limits") or resources.get("requests")):
        return
    spec = msgspec.convert(new["spec"], PodSpec)
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    limited, asked = written(limits_of_containers(spec)), written(requests_of_containers(spec))
    for name, amount in limited.items():
        if name.startswith(HUGE) and name not in requests:
            limits.setdefault(name, amount)
    if limits:
        for name, amount in asked.items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, amount)
        requests = {**{name: amount for name, amount in limits.items() if _supported(name)}, **requests}
    elif requests:
        everywhere = [set(container_limits(one)) for one in (*spec.containers, *spec.init_containers)]
        for name in ("cpu", "memory"):
            if name in limited and all(name in one for one in everywhere):
                limits[name] = limited[name]
    for field, amounts in (("limits", limits), ("requests", requests)):
        if amounts:
            resources[field] = amounts


def pod_resources(spec: PodSpec, path: str) -> Iterator[FieldError]:
    given, path = spec.resources, f"{path}.resources"
    if given is None:
        return
    for field, amounts in (("limits", given.limits), ("requests", given.requests)):
        for name in amounts:
            if not _supported(name):
                yield not_supported(key(f"{path}.{field}", name), name, _SUPPORTED)
    limits = {name: one for name, one in given.limits.items() if _supported(name)}
    requests = {name: one for name, one in given.requests.items() if _supported(name)}
    yield from requirements(ResourceRequirements(limits=limits, requests=requests), path)
    yield from _fitting(spec, given, path)


def _fitting(spec: PodSpec, given: ResourceRequirements, path: str) -> Iterator[FieldError]:
    limits, requests = read(given.limits), read(given.requests)
    for name, total in requests_of_containers(spec).items():
        if name in requests and requests[name].number < total.number:
            why = f"must be greater than or equal to aggregate container requests of {total}"
            yield invalid(key(f"{path}.requests", name), str(requests[name]), why)
    for name, total in limits_of_containers(spec).items():
        if name.startswith(HUGE) and name in limits and limits[name].number < total.number:
            why = f"must be greater than or equal to aggregate container limits of {total}"
            yield invalid(key(f"{path}.limits", name), str(limits[name]), why)
    for index, one in enumerate(spec.containers):
        for name, limit in container_limits(one).items():
            if name in limits and limits[name].number < limit.number:
                where = f"{key(at(f'{path}.containers', index), name)}.limits"
                yield invalid(where, str(limit), f"must be less than or equal to pod limits of {limits[name]}")
