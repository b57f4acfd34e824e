"""Resource lists that add up: exact amounts by resource name, each written as its quantities were.

What a pod asks for follows k8s.io/component-helpers/resource (PodRequests and PodLimits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import msgspec

from minikube.api import quantity
from minikube.api.core_v1 import Container, PodSpec
from minikube.api.meta import Quantity


class Exact(msgspec.Struct, frozen=True):
    """An amount in base units and the family of suffixes it is written with."""

    number: Fraction
    style: quantity.Format = "DecimalSI"

    def __add__(self, other: Exact) -> Exact:
        return Exact(self.number + other.number, self.style if self.number else other.style)

    def __sub__(self, other: Exact) -> Exact:
        return Exact(self.number - other.number, self.style if self.number else other.style)

    def __str__(self) -> str:
        return quantity.format(self.number, self.style)


ONE = Exact(Fraction(1))
ZERO = Exact(Fraction(0))
ResourceList = Mapping[str, Exact]


def read(amounts: Mapping[str, Quantity]) -> dict[str, Exact]:
    """Raises QuantityError."""
    return {name: Exact(quantity.parse(text), quantity.format_of(text)) for name, text in amounts.items()}


def written(amounts: ResourceList) -> dict[str, Quantity]:
    return {name: str(amount) for name, amount in amounts.items()}


def add(*lists: ResourceList) -> dict[str, Exact]:
    total: dict[str, Exact] = {}
    for amounts in lists:
        for name, amount in amounts.items():
            total[name] = total[name] + amount if name in total else amount
    return total


def growth(new: ResourceList, old: ResourceList) -> dict[str, Exact]:
    """How much more of each; what shrinks or stays is zero."""
    more = {name: amount - old.get(name, ZERO) for name, amount in new.items()}
    return {name: amount if amount.number > 0 else ZERO for name, amount in more.items()}


def largest(*lists: ResourceList) -> dict[str, Exact]:
    most: dict[str, Exact] = {}
    for amounts in lists:
        for name, amount in amounts.items():
            if name not in most or most[name].number < amount.number:
                most[name] = amount
    return most


def mask(amounts: ResourceList, names: Iterable[str]) -> dict[str, Exact]:
    return {name: amounts[name] for name in names if name in amounts}


def container_requests(container: Container) -> dict[str, Exact]:
    return read(container.resources.requests) if container.resources is not None else {}


def container_limits(container: Container) -> dict[str, Exact]:
    return read(container.resources.limits) if container.resources is not None else {}


def requests_of_containers(spec: PodSpec) -> dict[str, Exact]:
    return _of_containers(spec, container_requests)


def limits_of_containers(spec: PodSpec) -> dict[str, Exact]:
    return _of_containers(spec, container_limits)


def pod_requests(spec: PodSpec) -> dict[str, Exact]:
    """Overhead included."""
    level = read(spec.resources.requests) if spec.resources is not None else {}
    return add({**requests_of_containers(spec), **level}, read(spec.overhead))


def pod_limits(spec: PodSpec) -> dict[str, Exact]:
    """Overhead counts only where there is a limit at all."""
    level = read(spec.resources.limits) if spec.resources is not None else {}
    limits = {**limits_of_containers(spec), **level}
    return add(limits, mask(read(spec.overhead), limits))


def _of_containers(spec: PodSpec, asked: Callable[[Container], dict[str, Exact]]) -> dict[str, Exact]:
    """The sum of the containers, at least what any init container needs beside the sidecars started before it."""
    sidecars: dict[str, Exact] = {}
    starting: dict[str, Exact] = {}
    for container in spec.init_containers:
        needs = add(sidecars, asked(container))
        starting = largest(starting, needs)
        if container.restart_policy == "Always":
            sidecars = needs
    return largest(add(*(asked(one) for one in spec.containers), sidecars), starting)
