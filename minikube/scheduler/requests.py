"""What a pod asks for and what a node has, in base units. Rules: k8s.io/component-helpers resource.PodRequests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minikube.api import quantity
from minikube.api.core_v1 import Container, Node, Pod
from minikube.api.meta import Quantity
from minikube.scheduler.framework import Amounts, PodInfo

DEFAULT_CPU = 100
"""Millicores that scoring assumes for a container which asks for nothing (DefaultMilliCPURequest)."""
DEFAULT_MEMORY = 200 * 1024 * 1024


def amounts(resources: Mapping[str, Quantity]) -> Amounts:
    """A resource list in base units."""
    scalar = {
        name: quantity.value(amount)
        for name, amount in resources.items()
        if name not in ("cpu", "memory", "ephemeral-storage", "pods")
    }
    return Amounts(
        cpu=quantity.milli_value(resources.get("cpu", 0)),
        memory=quantity.value(resources.get("memory", 0)),
        ephemeral_storage=quantity.value(resources.get("ephemeral-storage", 0)),
        pods=quantity.value(resources.get("pods", 0)),
        scalar=scalar,
    )


def add(one: Amounts, other: Amounts, *, sign: int = 1) -> Amounts:
    scalar = dict(one.scalar)
    for name, amount in other.scalar.items():
        scalar[name] = scalar.get(name, 0) + sign * amount
    return Amounts(
        cpu=one.cpu + sign * other.cpu,
        memory=one.memory + sign * other.memory,
        ephemeral_storage=one.ephemeral_storage + sign * other.ephemeral_storage,
        pods=one.pods + sign * other.pods,
        scalar=scalar,
    )


def largest(one: Amounts, other: Amounts) -> Amounts:
    names = one.scalar.keys() | other.scalar.keys()
    return Amounts(
        cpu=max(one.cpu, other.cpu),
        memory=max(one.memory, other.memory),
        ephemeral_storage=max(one.ephemeral_storage, other.ephemeral_storage),
        pods=max(one.pods, other.pods),
        scalar={name: max(one.scalar.get(name, 0), other.scalar.get(name, 0)) for name in names},
    )


def pod_requests(pod: Pod) -> Amounts:
    """Sum of the containers, at least what any init container needs beside the sidecars started before it."""
    total = _sum(container for container in pod.spec.containers)
    sidecars = Amounts()
    starting = Amounts()
    for container in pod.spec.init_containers:
        asked = _asked(container)
        if container.restart_policy == "Always":
            sidecars = add(sidecars, asked)
            starting = largest(starting, sidecars)
        else:
            starting = largest(starting, add(sidecars, asked))
    total = largest(add(total, sidecars), starting)
    if pod.spec.resources is not None and pod.spec.resources.requests:
        total = _override(total, amounts(pod.spec.resources.requests), pod.spec.resources.requests.keys())
    if pod.spec.overhead:
        total = add(total, amounts(pod.spec.overhead))
    return total


def pod_info(pod: Pod) -> PodInfo:
    requests = pod_requests(pod)
    running = len(pod.spec.containers)
    bare_cpu = sum(1 for c in pod.spec.containers if "cpu" not in _resources(c))
    bare_memory = sum(1 for c in pod.spec.containers if "memory" not in _resources(c))
    return PodInfo(
        pod=pod,
        requests=requests,
        non_zero_cpu=requests.cpu + DEFAULT_CPU * min(bare_cpu, running),
        non_zero_memory=requests.memory + DEFAULT_MEMORY * min(bare_memory, running),
    )


def node_allocatable(node: Node) -> Amounts:
    return amounts(node.status.allocatable or node.status.capacity)


def _resources(container: Container) -> Mapping[str, Quantity]:
    return container.resources.requests if container.resources is not None else {}


def _asked(container: Container) -> Amounts:
    return amounts(_resources(container))


def _sum(containers: Iterable[Container]) -> Amounts:
    total = Amounts()
    for container in containers:
        total = add(total, _asked(container))
    return total


def _override(total: Amounts, pod_level: Amounts, named: Iterable[str]) -> Amounts:
    """Pod-level requests win over the sum for the resources they name."""
    names = set(named)
    return Amounts(
        cpu=pod_level.cpu if "cpu" in names else total.cpu,
        memory=pod_level.memory if "memory" in names else total.memory,
        ephemeral_storage=total.ephemeral_storage,
        pods=total.pods,
        scalar={**total.scalar, **pod_level.scalar},
    )
