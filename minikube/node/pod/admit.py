"""Whether this node takes a pod that is bound to it: the kubelet's own admission, after the scheduler's. Pure.

Rules of pkg/kubelet/lifecycle/predicate.go and its neighbours. A pod that is refused fails for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import msgspec

from minikube.api.core_v1 import Node, Pod
from minikube.api.node_selector import matches_required
from minikube.api.pod_resources import pod_requests
from minikube.api.quantity import parse
from minikube.api.taints import tolerated
from minikube.node.container.security import confined
from minikube.node.container.sysctls import forbidden
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import containers_of, every_container, is_critical, is_static, is_terminal
from minikube.node.pod.preemption import NotEnough, victims

OS, OS_LABEL = "linux", "kubernetes.io/os"
ANY = "0.0.0.0"


APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


class Abilities(msgspec.Struct, frozen=True):
    """What this machine can do, or lets pods do, that not every one does."""

    apparmor: bool = True
    unsafe_sysctls: tuple[str, ...] = ()
    """That its administrator allows."""


EVERYTHING = Abilities()


def apparmor_enabled(parameter: Path = APPARMOR) -> bool:
    try:
        return parameter.read_text().startswith("Y")
    except OSError:
        return False


class Admission(msgspec.Struct, frozen=True):
    """Why the pod cannot live here, if it cannot; and whom it takes the room of, if it can so only."""

    refusal: Ending | None = None
    victims: tuple[Pod, ...] = ()


def admission(
    pod: Pod, node: Node, others: Iterable[Pod], able: Abilities = EVERYTHING, *, shutting_down: bool = False
) -> Admission:
    """`others` are the node's other pods with what is allocated to them."""
    living = [each for each in others if not is_terminal(each)]
    missing = dict(_missing(pod, node, living)) if is_critical(pod) else {}
    reasons = _reasons(pod, node, living, able, shutting_down=shutting_down)
    for reason, message in reasons:
        if not missing or reason.removeprefix("OutOf") not in missing:
            return Admission(Ending(reason, message, rejected=True))
    if not missing:
        return Admission()
    try:
        return Admission(victims=tuple(victims(pod, living, missing)))
    except NotEnough as error:
        return Admission(Ending("UnexpectedAdmissionError", str(error), rejected=True))


def _reasons(
    pod: Pod, node: Node, others: list[Pod], able: Abilities, *, shutting_down: bool
) -> Iterator[tuple[str, str]]:
    if shutting_down:
        yield "NodeShutdown", "Pod was rejected as the node is shutting down."
    why = forbidden(pod, able.unsafe_sysctls)
    if why:
        yield "SysctlForbidden", why
    if not able.apparmor and any(confined(pod, each) for each in every_container(pod)):
        yield "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    context, features = pod.spec.security_context, node.status.features
    strict = context is not None and context.supplemental_groups_policy == "Strict"
    if strict and not (features is not None and features.supplemental_groups_policy):
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        yield "SupplementalGroupsPolicyNotSupported", text
    if pod.metadata.labels.get(OS_LABEL, OS) != OS:
        text = f"Failed to admit pod as the `{OS_LABEL}` label doesn't match node label"
        yield "PodOSSelectorNodeLabelDoesNotMatch", text
    if pod.spec.os is not None and pod.spec.os.name != OS:
        yield "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    yield from _too_much(pod, node, others)
    if not matches_required(pod, node):
        text = "node(s) didn't match Pod's node affinity/selector"
        yield "NodeAffinity", f"Predicate NodeAffinity failed: {text}"
    if any(_same(mine, taken) for mine in _ports(pod) for each in others for taken in _ports(each)):
        text = "node(s) didn't have free ports for the requested pod ports"
        yield "NodePorts", f"Predicate NodePorts failed: {text}"
    taints = [each for each in node.spec.taints if each.effect == "NoExecute"]
    if not is_static(pod) and any(not tolerated(each, pod.spec.tolerations) for each in taints):
        text = "node(s) had taints that the pod didn't tolerate"
        yield "TaintToleration", f"Predicate TaintToleration failed: {text}"


def _too_much(pod: Pod, node: Node, others: list[Pod]) -> Iterator[tuple[str, str]]:
    allowed = int(parse(node.status.allocatable.get("pods", "0")))
    if node.status.allocatable and len(others) + 1 > allowed:
        yield "OutOfpods", not_enough("pods", 1, len(others), allowed)
    for name, asked, used, capacity in shortages(pod_requests(pod), node.status.allocatable, others):
        yield f"OutOf{name}", not_enough(name, asked, used, capacity)


def _missing(pod: Pod, node: Node, others: list[Pod]) -> Iterator[tuple[str, int]]:
    """Resource and how much of it."""
    allowed = int(parse(node.status.allocatable.get("pods", "0")))
    if node.status.allocatable and len(others) + 1 > allowed:
        yield "pods", len(others) + 1 - allowed
    for name, asked, used, capacity in shortages(pod_requests(pod), node.status.allocatable, others):
        yield name, asked + used - capacity


def shortages(
    asked: Mapping[str, Fraction], allocatable: Mapping[str, object], others: Iterable[Pod]
) -> Iterator[tuple[str, int, int, int]]:
    """Resource, requested, used and capacity of what does not fit; CPU in thousandths, the rest in base units.
    A resource that the node does not have is somebody else's business."""
    used: dict[str, Fraction] = {}
    for each in others:
        for name, amount in pod_requests(each).items():
            used[name] = used.get(name, Fraction(0)) + amount
    for name, amount in asked.items():
        if name not in allocatable or not amount:
            continue
        unit = 1000 if name == "cpu" else 1
        wanted, taken = int(amount * unit), int(used.get(name, Fraction(0)) * unit)
        capacity = int(parse(str(allocatable[name])) * unit)
        if taken + wanted > capacity:
            yield name, wanted, taken, capacity


def not_enough(name: str, asked: int, used: int, capacity: int) -> str:
    return f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"


def _ports(pod: Pod) -> Iterator[tuple[str, str, int]]:
    for container in containers_of(pod):
        for port in container.ports:
            number = port.host_port or (port.container_port if pod.spec.host_network else 0)
            if number:
                yield port.host_ip or ANY, port.protocol or "TCP", number


def _same(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or ANY in (one[0], other[0]))
