"""Whether this node takes a pod that is bound to it: the kubelet's own admission, after the scheduler's. Pure.

Rules of pkg/kubelet/lifecycle/predicate.go and its neighbours. A pod that is refused fails for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from minikube.api.core_v1 import Node, Pod
from minikube.api.node_selector import matches_required
from minikube.api.pod_resources import pod_requests
from minikube.api.quantity import parse
from minikube.api.taints import tolerated
from minikube.node.container.sysctls import forbidden
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import containers_of, is_static, is_terminal

OS, OS_LABEL = "linux", "kubernetes.io/os"
ANY = "0.0.0.0"


def refusal(pod: Pod, node: Node, others: Iterable[Pod], *, shutting_down: bool = False) -> Ending | None:
    """Why the pod cannot live here. `others` are the node's other pods with what is allocated to them."""
    found = next(_reasons(pod, node, [each for each in others if not is_terminal(each)], shutting_down), None)
    return Ending(found[0], found[1], rejected=True) if found is not None else None


def _reasons(pod: Pod, node: Node, others: list[Pod], shutting_down: bool) -> Iterator[tuple[str, str]]:
    if shutting_down:
        yield "NodeShutdown", "Pod was rejected as the node is shutting down."
    why = forbidden(pod)
    if why:
        yield "SysctlForbidden", why
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
