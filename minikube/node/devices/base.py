"""What devices are to this node, in its own words; who gets which of them is decided here. Pure.

Rules of pkg/kubelet/cm/devicemanager/manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from minikube.api.core_v1 import Container, Pod, ResourceHealth, ResourceStatus
from minikube.api.quantity import value
from minikube.node.pod.pods import containers_of, is_init, is_sidecar
from minikube.node.runtime.base import Device as Node
from minikube.node.runtime.base import Mount
from minikube.resources.rules.amounts import is_extended

VERSION = "v1beta1"
STAYS_AWAY = 300.0
"""Seconds after which a plugin that has gone is not expected back (endpointStopGracePeriod)."""


class Refused(Exception):
    """A container cannot have the devices that it asks for; the message is upstream's."""


class BadPlugin(Exception):
    """What registers is no device plugin that this node can use; the message is upstream's."""


class Device(msgspec.Struct, frozen=True):
    id: str
    healthy: bool = True
    numa: tuple[int, ...] = ()
    """The nodes of memory that it is near to."""


class Gear(msgspec.Struct, frozen=True):
    """What a container gets to use its devices."""

    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    nodes: tuple[Node, ...] = ()
    annotations: Mapping[str, str] = {}
    cdi: tuple[str, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """The devices of one resource that one container has."""

    pod: str
    """Its uid."""
    container: str
    resource: str
    ids: tuple[str, ...]
    gear: Gear = Gear()


class Options(msgspec.Struct, frozen=True):
    """What a plugin wants to be asked beside its devices."""

    before_start: bool = False
    preferences: bool = False


class Supply(msgspec.Struct, frozen=True):
    """Of one resource."""

    capacity: int
    allocatable: int


class Pool(msgspec.Struct, frozen=True):
    """`taken` are given in any case; `count` of `free` are still to be chosen."""

    taken: tuple[str, ...]
    free: tuple[str, ...]
    count: int


def check_registration(version: str, resource: str) -> None:
    """Raises BadPlugin."""
    if version != VERSION:
        raise BadPlugin(
            f'requested API version "{version}" is not supported by kubelet. Supported version is ["{VERSION}"]'
        )
    if not is_extended(resource):
        raise BadPlugin(f'the ResourceName "{resource}" is invalid')


def asked(wanted: Container) -> Mapping[str, int]:
    """How many devices of which resource: they cannot be overcommitted, so limits say it all."""
    limits = wanted.resources.limits if wanted.resources is not None else {}
    return {name: count for name, each in limits.items() if is_extended(name) and (count := value(each))}


def pool(
    resource: str, count: int, known: Sequence[Device] | None, reusable: Iterable[str], in_use: Iterable[str]
) -> Pool:
    """What a container that asks for `count` devices can be given. `known` None: no plugin has registered it;
    `reusable` are those of the pod's init containers, which have ended by then. Raises Refused."""
    if known is None:
        raise Refused(f"cannot allocate unregistered device {resource}")
    healthy = {each.id for each in known if each.healthy}
    if not healthy:
        raise Refused(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
    taken = tuple(sorted(reusable))[:count]
    free = tuple(sorted(healthy.difference(in_use, taken)))
    needed = count - len(taken)
    if len(free) < needed:
        raise Refused(
            f"requested number of devices unavailable for {resource}. Requested: {needed}, Available: {len(free)}"
        )
    return Pool(taken, free, needed)


def keeps(held: Held, count: int, known: Sequence[Device] | None) -> None:
    """A container that has devices already keeps them. Raises Refused."""
    if len(held.ids) != count:
        raise Refused(
            f'pod "{held.pod}" container "{held.container}" changed request for resource "{held.resource}" '
            f"from {len(held.ids)} to {count}"
        )
    pool(held.resource, 0, known, (), ())
    if not {each.id for each in known or () if each.healthy}.issuperset(held.ids):
        raise Refused(
            f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {held.resource}"
        )


def chosen(given: Pool, preferred: Iterable[str]) -> tuple[str, ...]:
    """Those that the plugin prefers first."""
    liked = set(preferred)
    order = sorted(given.free, key=lambda each: (each not in liked, each))
    return (*given.taken, *order[: given.count])


def reusable(pod: Pod, container: str, held: Iterable[Held]) -> Mapping[str, frozenset[str]]:
    """By resource: what init containers of the pod have that ended before this container starts, and that no
    container has which runs beside it."""
    order = [each.name for each in containers_of(pod)]
    before = order[: order.index(container)]
    found: dict[str, set[str]] = {}
    for each in sorted(held, key=lambda one: order.index(one.container) if one.container in order else -1):
        if each.container not in before:
            continue
        if is_init(pod, each.container) and not is_sidecar(pod, each.container):
            found.setdefault(each.resource, set()).update(each.ids)
        else:
            found.setdefault(each.resource, set()).difference_update(each.ids)
    return {resource: frozenset(ids) for resource, ids in found.items()}


def combined(gears: Sequence[Gear]) -> Gear:
    """Of all resources of one container; the first that names a variable, path or annotation wins."""
    env: dict[str, str] = {}
    mounts: dict[str, Mount] = {}
    nodes: dict[str, Node] = {}
    annotations: dict[str, str] = {}
    for gear in reversed(gears):
        env |= dict(gear.env)
        mounts |= {each.container_path: each for each in gear.mounts}
        nodes |= {each.container_path: each for each in gear.nodes}
        annotations |= gear.annotations
    return Gear(
        env=tuple(env.items()),
        mounts=tuple(mounts.values()),
        nodes=tuple(nodes.values()),
        annotations=annotations,
        cdi=tuple(dict.fromkeys(name for gear in gears for name in gear.cdi)),
    )


def supply(known: Sequence[Device], away: float | None) -> Supply:
    """`away`: seconds since the plugin has gone, None while it is there. What has gone is first out of use, then no
    longer there; it stays in the node's status with nothing, unlike what belongs to the whole cluster."""
    if away is None:
        return Supply(len(known), sum(each.healthy for each in known))
    return Supply(len(known) if away < STAYS_AWAY else 0, 0)


def health(
    pod: Pod, held: Iterable[Held], known: Mapping[str, Mapping[str, Device]]
) -> Mapping[str, tuple[ResourceStatus, ...]]:
    """allocatedResourcesStatus by container; `known` has the devices of the plugins that are there now."""
    mains = {each.name for each in pod.spec.containers}
    found: dict[str, tuple[ResourceStatus, ...]] = {}
    for each in sorted(held, key=lambda one: one.resource):
        if each.container in mains:
            devices = known.get(each.resource, {})
            resources = tuple(ResourceHealth(resource_id=id, health=_health(devices.get(id))) for id in each.ids)
            status = ResourceStatus(name=each.resource, resources=resources)
            found[each.container] = (*found.get(each.container, ()), status)
    return found


def _health(device: Device | None) -> str:
    if device is None:
        return "Unknown"
    return "Healthy" if device.healthy else "Unhealthy"


def asking(pod: Pod, resources: Iterable[str]) -> Iterator[tuple[Container, str, int]]:
    """Containers of the pod in the order in which they get devices, and what they ask of these resources."""
    offered = frozenset(resources)
    for wanted in containers_of(pod):
        for resource, count in asked(wanted).items():
            if resource in offered:
                yield wanted, resource, count


def reported(pod: Pod) -> Sequence[str]:
    """The containers that the PodResources API tells of: sidecars, and those that are no init containers."""
    names = [each.name for each in containers_of(pod)]
    return [name for name in names if not is_init(pod, name) or is_sidecar(pod, name)]
