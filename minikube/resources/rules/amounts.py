"""Checks of resource lists: requests, limits, capacity (ValidateResourceRequirements and what it calls)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from minikube.api import quantity
from minikube.api.core_v1 import ResourceRequirements
from minikube.api.meta import Quantity
from minikube.api.names import qualified_name_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import forbidden, invalid, key, required

OF_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE = "hugepages-"


def is_extended(name: str) -> bool:
    """A device that some plugin offers: it has a domain, which is not Kubernetes' own."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def overcommits(name: str) -> bool:
    return not is_extended(name) and not name.startswith(HUGE)


def container_resource_name(name: str, path: str) -> Iterator[FieldError]:
    wrong = list(qualified_name_problems(name))
    for why in wrong:
        yield invalid(path, name, why)
    if wrong:
        return
    if "/" not in name:
        if name not in OF_CONTAINERS and not name.startswith(HUGE):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_extended(name) and "kubernetes.io/" not in name:
        yield invalid(path, name, "doesn't follow extended resource name standard")


def amount(name: str, given: Quantity, path: str) -> Iterator[FieldError]:
    """Not negative, and whole for what cannot be shared out in parts."""
    parsed = quantity.parse(given)
    if parsed < 0:
        yield invalid(path, quantity.canonical(given), "must be greater than or equal to 0")
    if is_extended(name) and parsed.denominator != 1:
        yield invalid(path, quantity.canonical(given), "must be an integer")


def requirements(resources: ResourceRequirements | None, path: str) -> Iterator[FieldError]:
    """Requests and limits of a container."""
    if resources is None:
        return
    limits, requests = resources.limits, resources.requests
    for name, given in limits.items():
        where = key(f"{path}.limits", name)
        yield from container_resource_name(name, where)
        yield from amount(name, given, where)
    for name, given in requests.items():
        where = key(f"{path}.requests", name)
        yield from container_resource_name(name, where)
        yield from amount(name, given, where)
        yield from _within_limit(name, given, limits, path)
    huge = any(name.startswith(HUGE) for name in (*limits, *requests))
    if huge and OF_CONTAINERS.isdisjoint({*limits, *requests} - {"ephemeral-storage"}):
        yield forbidden(path, "HugePages require cpu or memory")


def _within_limit(name: str, given: Quantity, limits: Mapping[str, Quantity], path: str) -> Iterator[FieldError]:
    if name not in limits:
        if not overcommits(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    asked, limit = quantity.parse(given), quantity.parse(limits[name])
    shown = quantity.canonical(limits[name])
    if asked > limit:
        why = f"must be less than or equal to {name} limit of {shown}"
        yield invalid(f"{path}.requests", quantity.canonical(given), why)
    elif asked != limit and not overcommits(name):
        why = f"must be equal to {name} limit of {shown}"
        yield invalid(f"{path}.requests", quantity.canonical(given), why)
