"""LimitRanger: LimitRanges give containers what they did not ask for, and refuse too much and too little.

Rules: kubernetes plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.api import quantity
from minikube.api.core_v1 import LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod
from minikube.api.meta import Quantity, from_dict
from minikube.api.resource_list import (
    ResourceList,
    container_limits,
    container_requests,
    pod_limits,
    pod_requests,
    read,
)
from minikube.client.base import Lister
from minikube.errors import Forbidden

ANNOTATION = "kubernetes.io/limit-ranger"
Asked = tuple[ResourceList, ResourceList]
"""Requests and limits."""


class LimitRanger:
    name: ClassVar[str] = "LimitRanger"

    def __init__(self, ranges: Lister[LimitRange]) -> None:
        self._ranges = ranges

    async def admit(self, request: Attributes) -> None:
        if _concerns(request) != "pods" or request.subresource or request.object is None:
            return
        for one in self._of(request.namespace):
            set_defaults(request.object, one)

    async def validate(self, request: Attributes) -> None:
        plural = _concerns(request)
        if not plural or request.object is None:
            return
        for one in self._of(request.namespace):
            problems = list(violations(plural, request.object, one))
            if problems:
                told = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
                raise Forbidden.of(plural, "", request.name, told)

    def _of(self, namespace: str) -> list[LimitRange]:
        return sorted(self._ranges.list(namespace), key=lambda one: one.metadata.name)


def _concerns(request: Attributes) -> str:
    """The plural, or nothing: pods when they are made (or resized), claims also when they change."""
    if request.resource.group:
        return ""
    match request.resource.plural, request.operation, request.subresource:
        case ("pods", "CREATE", "") | ("pods", "UPDATE", "resize"):
            return "pods"
        case ("persistentvolumeclaims", "CREATE" | "UPDATE", ""):
            return "persistentvolumeclaims"
    return ""


def set_defaults(pod: dict[str, Any], limits: LimitRange) -> None:
    """Fills in and says so in an annotation."""
    requests: dict[str, Quantity] = {}
    maxima: dict[str, Quantity] = {}
    for item in limits.spec.limits:
        if item.type == "Container":
            requests.update(item.default_request)
            maxima.update(item.default)
    told: list[str] = []
    for field, what in (("containers", "container"), ("initContainers", "init container")):
        for container in (pod.get("spec") or {}).get(field) or ():
            told += _fill(container, "requests", requests, f"request for {what}")
            told += _fill(container, "limits", maxima, f"limit for {what}")
    if told:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}


def _fill(container: dict[str, Any], field: str, defaults: Mapping[str, Quantity], what: str) -> list[str]:
    resources = container.get("resources") or {}
    present = resources.get(field) or {}
    missing = {name: amount for name, amount in defaults.items() if name not in present}
    if not missing:
        return []
    container["resources"] = {**resources, field: {**present, **missing}}
    return [f"{', '.join(sorted(missing))} {what} {container.get('name', '')}"]


def violations(plural: str, obj: Mapping[str, Any], limits: LimitRange) -> Iterator[str]:
    if plural == "persistentvolumeclaims":
        resources = from_dict(PersistentVolumeClaim, obj).spec.resources
        requests = read(resources.requests) if resources is not None else {}
        for item in limits.spec.limits:
            if item.type == "PersistentVolumeClaim":
                yield from _claim_checked(item, requests)
        return
    spec = from_dict(Pod, obj).spec
    for item in limits.spec.limits:
        if item.type == "Container":
            for container in (*spec.containers, *spec.init_containers):
                yield from _checked(item, (container_requests(container), container_limits(container)))
        elif item.type == "Pod":
            yield from _checked(item, (pod_requests(spec), pod_limits(spec)))


def _checked(item: LimitRangeItem, asked: Asked) -> Iterator[str]:
    kind = item.type
    yield from _each(item.min, lambda name, least: _at_least(kind, name, least, asked))
    yield from _each(item.max, lambda name, most: _at_most(kind, name, most, asked))
    yield from _each(item.max_limit_request_ratio, lambda name, most: _ratio(kind, name, most, asked))


def _claim_checked(item: LimitRangeItem, requests: ResourceList) -> Iterator[str]:
    kind = item.type
    yield from _each(item.min, lambda name, least: _at_least(kind, name, least, (requests, {})))
    yield from _each(item.max, lambda name, most: _claim_at_most(kind, name, most, requests))


def _each(bounds: Mapping[str, Quantity], check: Callable[[str, Quantity], str]) -> Iterable[str]:
    return [problem for name in sorted(bounds) if (problem := check(name, bounds[name]))]


def _at_least(kind: str, name: str, least: Quantity, asked: Asked) -> str:
    request, limit = asked[0].get(name), asked[1].get(name)
    told = f"minimum {name} usage per {kind} is {quantity.canonical(least)}"
    if request is None:
        return f"{told}.  No request is specified"
    if request.number < quantity.parse(least):
        return f"{told}, but request is {request}"
    if limit is not None and limit.number < quantity.parse(least):
        return f"{told}, but limit is {limit}"
    return ""


def _at_most(kind: str, name: str, most: Quantity, asked: Asked) -> str:
    request, limit = asked[0].get(name), asked[1].get(name)
    told = f"maximum {name} usage per {kind} is {quantity.canonical(most)}"
    if limit is None:
        return f"{told}.  No limit is specified"
    if limit.number > quantity.parse(most):
        return f"{told}, but limit is {limit}"
    if request is not None and request.number > quantity.parse(most):
        return f"{told}, but request is {request}"
    return ""


def _claim_at_most(kind: str, name: str, most: Quantity, requests: ResourceList) -> str:
    told = f"maximum {name} usage per {kind} is {quantity.canonical(most)}"
    if name not in requests:
        return f"{told}.  No request is specified"
    return f"{told}, but request is {requests[name]}" if requests[name].number > quantity.parse(most) else ""


def _ratio(kind: str, name: str, most: Quantity, asked: Asked) -> str:
    request, limit = asked[0].get(name), asked[1].get(name)
    told = f"{name} max limit to request ratio per {kind} is {quantity.canonical(most)}"
    if request is None or not request.number:
        return f"{told}, but no request is specified or request is 0"
    if limit is None or not limit.number:
        return f"{told}, but no limit is specified or limit is 0"
    ratio = limit.number / request.number
    return f"{told}, but provided ratio is {float(ratio):f}" if ratio > quantity.parse(most) else ""
