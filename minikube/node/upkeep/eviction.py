"""Which pod goes when the node runs short, and what it is told. Pure. Rules and words: pkg/kubelet/eviction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import msgspec

from minikube.api.core_v1 import Container, Pod
from minikube.api.pod_resources import pod_limits, pod_requests
from minikube.api.quantity import canonical, format, parse
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import is_critical
from minikube.node.upkeep.thresholds import MEMORY, PIDS, RESOURCES, Measure, Threshold, amount_text
from minikube.resources.qos import qos_class

EVICTED, DISRUPTION = "Evicted", "TerminationByKubelet"
AT_ONCE = 1.0
"""Seconds of grace for a pod that goes because of a hard threshold or its own limits."""


class PodUsage(msgspec.Struct, frozen=True):
    """Bytes, but for inodes and processes; by container where containers have limits."""

    memory: Mapping[str, int] = {}
    disk: Mapping[str, int] = {}
    """Writable layer and logs."""
    volumes: Mapping[str, int] = {}
    """emptyDir volumes on disk."""
    memory_volumes: Mapping[str, int] = {}
    inodes: int = 0
    processes: int = 0

    @property
    def ephemeral_storage(self) -> int:
        return sum(self.disk.values()) + sum(self.volumes.values())

    def of(self, resource: str) -> int:
        totals = {"memory": sum(self.memory.values()), "inodes": self.inodes, "pids": self.processes}
        return totals.get(resource, self.ephemeral_storage)


NOTHING = PodUsage()


def refused(pod: Pod, conditions: frozenset[str]) -> Ending | None:
    """A node under pressure takes critical pods only; where memory alone is short, any but best-effort ones."""
    if not conditions or is_critical(pod):
        return None
    tolerated = any(each.key == "node.kubernetes.io/memory-pressure" for each in pod.spec.tolerations)
    if conditions == {"MemoryPressure"} and (qos_class(pod.spec) != "BestEffort" or tolerated):
        return None
    return Ending(EVICTED, f"The node had condition: [{' '.join(sorted(conditions))}]. ", rejected=True)


def ranked(pods: Iterable[Pod], usage: Mapping[str, PodUsage], signal: str) -> list[Pod]:
    """The first goes first: who uses more than it requested, then lower priority, then the greater excess."""
    resource = RESOURCES[signal]

    def key(pod: Pod) -> tuple[bool, int, Fraction]:
        used = usage.get(pod.metadata.uid, NOTHING).of(resource)
        excess = used - pod_requests(pod).get(resource, Fraction(0))
        modest = excess <= 0 and resource in ("memory", "ephemeral-storage")
        return modest, pod.spec.priority or 0, -excess

    return sorted((pod for pod in pods if not is_critical(pod)), key=key)


def shortage(pod: Pod, usage: PodUsage, threshold: Threshold, measure: Measure, max_grace: float) -> Ending:
    """What an evicted pod is told."""
    signal, resource = threshold.signal, RESOURCES[threshold.signal]
    quantity = amount_text(signal, threshold.amount(measure.capacity))
    text = f"The node was low on resource: {resource}. "
    text += f"Threshold quantity: {quantity}, available: {amount_text(signal, measure.available)}. "
    if signal != PIDS:
        text += "".join(_larger(pod, usage.memory if signal == MEMORY else usage.disk, resource))
    grace = AT_ONCE if threshold.grace is None else max(AT_ONCE, max_grace)
    return Ending(EVICTED, text, grace=grace, disruption=DISRUPTION)


def _larger(pod: Pod, used: Mapping[str, int], resource: str) -> Iterable[str]:
    for container in pod.spec.containers:
        requests = container.resources.requests if container.resources else {}
        request = parse(requests.get(resource))
        if used.get(container.name, 0) > request:
            amount = format(_whole_ki(used[container.name]), "BinarySI")
            asked = canonical(requests[resource]) if resource in requests else "0"
            yield (
                f"Container {container.name} was using {amount}, request is {asked}, "
                f"has larger consumption of {resource}. "
            )


def _whole_ki(amount: int) -> int:
    return amount // 1024 * 1024 if amount >= 1024 else amount


def limited(pod: Pod) -> bool:
    """Whether its own limits bound its disk usage."""
    volumes = any(each.empty_dir is not None and each.empty_dir.size_limit for each in pod.spec.volumes)
    return volumes or any(_limit(each) is not None for each in (*pod.spec.init_containers, *pod.spec.containers))


def over_limit(pod: Pod, usage: PodUsage) -> Ending | None:
    """A pod that uses more local storage than it may: volumes, then the pod, then single containers."""
    text = _volume_over(pod, usage) or _pod_over(pod, usage) or _container_over(pod, usage)
    return Ending(EVICTED, text, grace=AT_ONCE, disruption=DISRUPTION) if text else None


def _volume_over(pod: Pod, usage: PodUsage) -> str:
    for volume in pod.spec.volumes:
        if volume.empty_dir is None or not volume.empty_dir.size_limit:
            continue
        limit = volume.empty_dir.size_limit
        used = usage.volumes.get(volume.name, usage.memory_volumes.get(volume.name, 0))
        if parse(limit) and used > parse(limit):
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{canonical(limit)}". '
    return ""


def _pod_over(pod: Pod, usage: PodUsage) -> str:
    limit = pod_limits(pod).get("ephemeral-storage")
    if limit and usage.ephemeral_storage > limit:
        amount = format(int(limit), "BinarySI")
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {amount}. "
    return ""


def _container_over(pod: Pod, usage: PodUsage) -> str:
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        limit = _limit(container)
        if limit is not None and usage.disk.get(container.name, 0) > parse(limit):
            name = container.name
            return f'Container {name} exceeded its local ephemeral storage limit "{canonical(limit)}". '
    return ""


def _limit(container: Container) -> str | None:
    found = container.resources.limits.get("ephemeral-storage") if container.resources else None
    return str(found) if found is not None else None
