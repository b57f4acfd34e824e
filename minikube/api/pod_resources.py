"""What a whole pod requests and is limited to. Rules: k8s.io/component-helpers PodRequests, PodLimits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from minikube.api.core_v1 import Container, Pod, ResourceRequirements
from minikube.api.meta import Quantity
from minikube.api.quantity import parse

Sums = dict[str, Fraction]


def pod_requests(pod: Pod) -> Sums:
    """By resource name, in base units; a limit without a request counts as the request, as defaulting has it."""
    return _pod_sums(pod, lambda given: {**given.limits, **given.requests})


def pod_limits(pod: Pod) -> Sums:
    """By resource name, in base units; only what every container limits bounds the pod as a whole."""
    sums = _pod_sums(pod, lambda given: given.limits)
    whole = pod.spec.resources.limits if pod.spec.resources is not None else {}
    every = (*pod.spec.containers, *(each for each in pod.spec.init_containers if each.restart_policy == "Always"))
    bounded = {name for name in sums if all(name in _given(each).limits for each in every)}
    return {name: amount for name, amount in sums.items() if name in bounded or name in whole}


def _pod_sums(pod: Pod, asked: Callable[[ResourceRequirements], Mapping[str, Quantity]]) -> Sums:
    """The containers together, at least what any init container needs beside the sidecars started before it."""

    def of(container: Container) -> Sums:
        return {name: parse(amount) for name, amount in asked(_given(container)).items()}

    total: Sums = {}
    for container in pod.spec.containers:
        total = _add(total, of(container))
    sidecars: Sums = {}
    starting: Sums = {}
    for container in pod.spec.init_containers:
        if container.restart_policy == "Always":
            sidecars = _add(sidecars, of(container))
            starting = _largest(starting, sidecars)
        else:
            starting = _largest(starting, _add(sidecars, of(container)))
    total = _largest(_add(total, sidecars), starting)
    if pod.spec.resources is not None:
        total |= {name: parse(amount) for name, amount in asked(pod.spec.resources).items()}
    return _add(total, {name: parse(amount) for name, amount in pod.spec.overhead.items()})


def _given(container: Container) -> ResourceRequirements:
    return container.resources or ResourceRequirements()


def _add(one: Sums, other: Sums) -> Sums:
    return {name: one.get(name, Fraction(0)) + other.get(name, Fraction(0)) for name in {**one, **other}}


def _largest(one: Sums, other: Sums) -> Sums:
    return {name: max(one.get(name, Fraction(0)), other.get(name, Fraction(0))) for name in {**one, **other}}
