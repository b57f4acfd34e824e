"""Huge pages as pods, control groups and mounts name them. Pure.

Rules of pkg/kubelet/kuberuntime (GetHugepageLimitsFromResources) and pkg/volume/emptydir (getPageSizeMountOption).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from minikube.api.core_v1 import Pod
from minikube.api.meta import Quantity
from minikube.api.quantity import parse, value

PREFIX = "hugepages-"
MEDIUM = "HugePages"
UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def kernel_name(resource: str) -> str:
    """Of a page size: 2MB for hugepages-2Mi."""
    size, unit = value(resource.removeprefix(PREFIX)), 0
    while size >= 1024 and size % 1024 == 0:
        size, unit = size // 1024, unit + 1
    return f"{size}{UNITS[unit]}"


def limits(amounts: Mapping[str, Fraction], sizes: Iterable[str]) -> Mapping[str, int]:
    """Bytes by the kernel's name of every page size that the machine has (`sizes`, by resource name): what is not
    asked for is not to be had."""
    return {kernel_name(name): int(amounts.get(name, 0)) for name in sizes}


def container_limits(pod: Pod, given: Mapping[str, Quantity], sizes: Iterable[str]) -> Mapping[str, int]:
    """A container that names no limit of its own has that of the pod, if the pod has one."""
    whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
    amounts = {**whole, **given}
    return limits({name: parse(each) for name, each in amounts.items() if name.startswith(PREFIX)}, sizes)


def page_size(pod: Pod, medium: str) -> str:
    """Of a volume of this medium, as mount(8) takes it: 2M. Raises ValueError when the pod asks for no such."""
    asked = {name for name in _requested(pod) if name.startswith(PREFIX)}
    named = medium.removeprefix(MEDIUM).removeprefix("-")
    if named:
        found = {name for name in asked if parse(name.removeprefix(PREFIX)) == parse(named)}
    elif len(asked) > 1:
        raise ValueError(f"medium: {medium} can't be used if container requests multiple huge page sizes")
    else:
        found = asked
    if not found:
        raise ValueError(
            f"medium {medium}: hugePages storage requested, but there is no resource request for huge pages"
        )
    return kernel_name(found.pop()).removesuffix("B")


def _requested(pod: Pod) -> Iterable[str]:
    every = [each.resources for each in (*pod.spec.containers, *pod.spec.init_containers)]
    for resources in (*every, pod.spec.resources):
        if resources is not None:
            yield from {**resources.limits, **resources.requests}
