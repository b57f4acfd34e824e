"""Which pods make room for a critical one. Pure. Rules: pkg/kubelet/preemption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from minikube.api.core_v1 import Pod
from minikube.api.pod_resources import pod_requests
from minikube.node.pod.observed import Ending
from minikube.node.pod.pods import is_critical
from minikube.resources.qos import qos_class

MESSAGE = "Preempted in order to admit critical pod"
PREEMPTED = Ending(
    "Preempting",
    MESSAGE,
    disruption="TerminationByKubelet",
    disruption_message="Pod was preempted by Kubelet to accommodate a critical pod.",
)
NO_ROOM = (
    "Unexpected error while attempting to recover from admission failure: preemption: "
    "error finding a set of pods to preempt: no set of running pods found to reclaim resources: "
)
TIERS = ("BestEffort", "Burstable", "Guaranteed")

Missing = Mapping[str, int]
"""Resource -> how much is missing, CPU in thousandths."""


class NotEnough(Exception):
    """Not even without all pods that may go; the message is the kubelet's."""


def victims(pod: Pod, others: Iterable[Pod], missing: Missing) -> list[Pod]:
    """As few as possible, the least important tiers first. Raises NotEnough."""
    may_go = [each for each in others if _preemptable(pod, each)]
    tiers = [[each for each in may_go if qos_class(each.spec) == tier] for tier in TIERS]
    if left := _without(missing, may_go):
        raise NotEnough(NO_ROOM + _text(left))
    besteffort, burstable, guaranteed = tiers
    chosen = _closest(guaranteed, _without(missing, (*besteffort, *burstable)))
    chosen = [*_closest(burstable, _without(missing, (*besteffort, *chosen))), *chosen]
    return [*_closest(besteffort, _without(missing, chosen)), *chosen]


def _preemptable(pod: Pod, other: Pod) -> bool:
    return not is_critical(other) or (pod.spec.priority or 0) > (other.spec.priority or 0)


def _closest(pods: Sequence[Pod], missing: Missing) -> list[Pod]:
    """One after the other who gives most of what is missing."""
    found: list[Pod] = []
    rest = list(pods)
    while missing and rest:
        best = min(rest, key=lambda each: (_distance(each, missing), _asks(each, "memory"), _asks(each, "cpu")))
        rest.remove(best)
        found.append(best)
        missing = _without(missing, (best,))
    return found


def _distance(pod: Pod, missing: Missing) -> Fraction:
    left = {name: amount - _asks(pod, name) for name, amount in missing.items()}
    return sum((Fraction(each, missing[name]) ** 2 for name, each in left.items() if each > 0), Fraction(0))


def _without(missing: Missing, pods: Iterable[Pod]) -> Missing:
    gone = list(pods)
    left = {name: amount - sum(_asks(pod, name) for pod in gone) for name, amount in missing.items()}
    return {name: amount for name, amount in left.items() if amount > 0}


def _asks(pod: Pod, name: str) -> int:
    if name == "pods":
        return 1
    return int(pod_requests(pod).get(name, Fraction(0)) * (1000 if name == "cpu" else 1))


def _text(missing: Missing) -> str:
    return "[" + "".join(f"(res: {name}, q: {amount}), " for name, amount in missing.items()) + "]"
