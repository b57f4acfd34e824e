"""In-place resize: what a pod is given of what it asks, and which containers have still to get it. Pure.

Rules of pkg/kubelet/allocation: a resize that the node could never hold is Infeasible, one that does not fit now is
Deferred, the rest is allocated and actuated container by container.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Node, Pod, PodCondition, ResourceRequirements
from minikube.api.meta import to_dict
from minikube.api.pod_resources import pod_limits, pod_requests
from minikube.api.quantity import parse
from minikube.node.pod.admit import not_enough, shortages
from minikube.node.pod.conditions import condition
from minikube.node.pod.pods import is_sidecar, is_static
from minikube.node.runtime.base import Container, State

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
NOTHING = ResourceRequirements()
RESIZABLE = ("cpu", "memory")

Given = Mapping[str, ResourceRequirements]
"""By container name; WHOLE is the pod, if it has resources of its own."""
WHOLE = ""


class Verdict(msgspec.Struct, frozen=True):
    """`reason` "" : allocated. Else Deferred or Infeasible, and why."""

    allocated: Given
    reason: str = ""
    message: str = ""


def asked(pod: Pod) -> Given:
    """What the spec wants, of containers that can be resized, and of the pod."""
    mains = {each.name: each.resources or NOTHING for each in pod.spec.containers}
    sidecars = {
        each.name: each.resources or NOTHING for each in pod.spec.init_containers if is_sidecar(pod, each.name)
    }
    whole = {WHOLE: pod.spec.resources} if pod.spec.resources is not None else {}
    return {**whole, **sidecars, **mains}


def remembered(pod: Pod) -> Given:
    """What had been allocated according to the published status: so it outlives the agent."""
    wanted = dict(asked(pod))
    for told in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if told.name in wanted and told.container_id:
            limits = told.resources.limits if told.resources is not None else {}
            if told.allocated_resources or limits:
                wanted[told.name] = replace(wanted[told.name], requests=told.allocated_resources, limits=limits)
    status = pod.status
    if WHOLE in wanted and status.resources is not None:
        limits = status.resources.limits
        wanted[WHOLE] = replace(wanted[WHOLE], requests=status.allocated_resources, limits=limits)
    return wanted


def with_allocation(pod: Pod, allocated: Given) -> Pod:
    """The pod as the node accounts for it."""

    def held(each: Wanted) -> Wanted:
        given = allocated.get(each.name)
        return each if given is None or given == (each.resources or NOTHING) else replace(each, resources=given)

    containers = tuple(held(each) for each in pod.spec.containers)
    inits = tuple(held(each) for each in pod.spec.init_containers)
    whole = allocated.get(WHOLE, pod.spec.resources)
    if (containers, inits, whole) == (pod.spec.containers, pod.spec.init_containers, pod.spec.resources):
        return pod
    return replace(pod, spec=replace(pod.spec, containers=containers, init_containers=inits, resources=whole))


def judge(pod: Pod, allocated: Given, node: Node, others: Iterable[Pod]) -> Verdict:
    """`others` as the node accounts for them."""
    wanted = asked(pod)
    if wanted == allocated:
        return Verdict(allocated)
    if is_static(pod):
        return Verdict(allocated, "Infeasible", "In-place resize of static-pods is not supported")
    capacity = node.status.allocatable
    for name, asked_for in pod_requests(pod).items():
        if name not in RESIZABLE or name not in capacity:
            continue
        unit = 1000 if name == "cpu" else 1
        have = parse(str(capacity[name]))
        if asked_for > have:
            amounts = f"requested: {int(asked_for * unit)}, capacity: {int(have * unit)}"
            return Verdict(allocated, "Infeasible", f"Node didn't have enough capacity: {name}, {amounts}")
    resizable = {name: amount for name, amount in pod_requests(pod).items() if name in RESIZABLE}
    for short in shortages(resizable, capacity, others):
        return Verdict(allocated, "Deferred", not_enough(*short))
    return Verdict(wanted)


def outstanding(
    pod: Pod, containers: Sequence[Container], allocated: Given, actual: Given
) -> Iterator[tuple[Wanted, Container]]:
    """Running containers that do not have yet what is allocated to them."""
    latest = {}
    for each in sorted(containers, key=lambda each: each.attempt):
        latest[each.name] = each
    for wanted in (*pod.spec.init_containers, *pod.spec.containers):
        found, given = latest.get(wanted.name), allocated.get(wanted.name)
        if found is None or given is None or found.state is not State.RUNNING:
            continue
        if actual.get(found.id, given) != given:
            yield wanted, found


def needs_restart(wanted: Wanted, before: ResourceRequirements, after: ResourceRequirements) -> bool:
    """Whether its resizePolicy asks for a restart for any resource that changes."""
    policies = {each.resource_name: each.restart_policy for each in wanted.resize_policy}

    def changes(name: str) -> bool:
        return (before.requests.get(name), before.limits.get(name)) != (
            after.requests.get(name),
            after.limits.get(name),
        )

    return any(policies.get(name) == "RestartContainer" and changes(name) for name in RESIZABLE)


def too_small(pod: Pod, before: Given, after: Given, used: Mapping[str, int]) -> str:
    """Why memory limits cannot become less: what runs holds more; "" when they can. `used`: bytes by container.

    The kernel would kill what runs (validateMemoryResizeAction of the kubelet).
    """
    old, new = (pod_limits(with_allocation(pod, given)).get("memory") for given in (before, after))
    wrong = [_below("pod", old, new, sum(used.values()))]
    for name, given in after.items():
        if name == WHOLE:
            continue
        limits = [each.limits.get("memory") for each in (before.get(name, NOTHING), given)]
        old, new = (None if limit is None else parse(limit) for limit in limits)
        wrong.append(_below(f'container "{name}"', old, new, used.get(name, 0)))
    wrong = list(filter(None, wrong))
    if not wrong:
        return ""
    return f"cannot decrease memory limits: {wrong[0] if len(wrong) == 1 else '[' + ', '.join(wrong) + ']'}"


def _below(what: str, old: Fraction | None, new: Fraction | None, used: int) -> str:
    if new is None or (old is not None and old <= new) or used < new:
        return ""
    return f"attempting to set {what} memory limit ({int(new)}) below current usage ({used})"


def described(pod: Pod, allocated: Given, error: str = "") -> str:
    """What the events of a resize say of it."""
    containers = [{"name": name, "resources": to_dict(given)} for name, given in allocated.items() if name != WHOLE]
    whole = {"resources": to_dict(allocated[WHOLE])} if WHOLE in allocated else {}
    told = {
        **whole,
        "containers": containers,
        "generation": pod.metadata.generation,
        **({"error": error} if error else {}),
    }
    return msgspec.json.encode(told).decode()


def told(verdict: Verdict, *, in_progress: bool, error: str) -> tuple[PodCondition, ...]:
    """The conditions that go with it."""
    found = []
    if verdict.reason:
        found.append(condition(PENDING, True, verdict.reason, verdict.message))
    if in_progress:
        found.append(condition(IN_PROGRESS, True, "Error" if error else "", error))
    return tuple(found)
