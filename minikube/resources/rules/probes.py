"""Probes and lifecycle handlers of containers (validateProbe, validateHandler)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.core_v1 import (
    ExecAction,
    GRPCAction,
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Probe,
    SleepAction,
    TCPSocketAction,
)
from minikube.api.names import http_header_problems, port_number_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import forbidden, invalid, not_negative, not_supported, required
from minikube.resources.rules.labelling import port_or_name

_LARGEST = 2**31 - 1


def _exec(action: ExecAction, path: str) -> Iterator[FieldError]:
    if not action.command:
        yield required(f"{path}.command")


def _http(action: HTTPGetAction, path: str) -> Iterator[FieldError]:
    yield from port_or_name(action.port, f"{path}.port")
    if action.scheme not in ("HTTP", "HTTPS"):
        yield not_supported(f"{path}.scheme", action.scheme, ("HTTP", "HTTPS"))
    for header in action.http_headers:
        for why in http_header_problems(header.name):
            yield invalid(f"{path}.httpHeaders", header.name, why)


def _tcp(action: TCPSocketAction, path: str) -> Iterator[FieldError]:
    yield from port_or_name(action.port, f"{path}.port")


def _grpc(action: GRPCAction, path: str) -> Iterator[FieldError]:
    for why in port_number_problems(action.port):
        yield invalid(f"{path}.port", action.port, why)


def _sleep(action: SleepAction, path: str, grace: int) -> Iterator[FieldError]:
    if action.seconds < 0 or action.seconds > grace:
        why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        yield invalid(path, action.seconds, why)


def _one_handler(given: dict[str, bool], path: str) -> Iterator[FieldError]:
    """Exactly one of the ways to ask."""
    names = [name for name, present in given.items() if present]
    if not names:
        yield required(path, "must specify a handler type")
    for name in names[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 handler type")


def _actions(given: Probe | LifecycleHandler, more: dict[str, bool], path: str) -> Iterator[FieldError]:
    """One of the ways that both have to ask, or of the `more` that one of them has."""
    handlers = {
        "exec": given.exec is not None,
        "httpGet": given.http_get is not None,
        "tcpSocket": given.tcp_socket is not None,
        **more,
    }
    yield from _one_handler(handlers, path)
    if given.exec:
        yield from _exec(given.exec, f"{path}.exec")
    if given.http_get:
        yield from _http(given.http_get, f"{path}.httpGet")
    if given.tcp_socket:
        yield from _tcp(given.tcp_socket, f"{path}.tcpSocket")


def probe(given: Probe | None, path: str, *, ready: bool = False) -> Iterator[FieldError]:
    """`ready`: a readiness probe, which may ask for more than one success but may not end a container."""
    if given is None:
        return
    yield from _actions(given, {"grpc": given.grpc is not None}, path)
    if given.grpc:
        yield from _grpc(given.grpc, f"{path}.grpc")
    yield from not_negative(f"{path}.initialDelaySeconds", given.initial_delay_seconds)
    yield from not_negative(f"{path}.timeoutSeconds", given.timeout_seconds)
    yield from not_negative(f"{path}.periodSeconds", given.period_seconds)
    yield from not_negative(f"{path}.successThreshold", given.success_threshold)
    yield from not_negative(f"{path}.failureThreshold", given.failure_threshold)
    grace = given.termination_grace_period_seconds
    where = f"{path}.terminationGracePeriodSeconds"
    if ready:
        if grace is not None:
            yield invalid(where, grace, "must not be set for readinessProbes")
        return
    if grace is not None and grace <= 0:
        yield invalid(where, grace, "must be greater than 0")
    if given.success_threshold is not None and given.success_threshold != 1:
        yield invalid(f"{path}.successThreshold", given.success_threshold, "must be 1")


def _handler(given: LifecycleHandler | None, path: str, grace: int) -> Iterator[FieldError]:
    if given is None:
        return
    yield from _actions(given, {"sleep": given.sleep is not None}, path)
    if given.sleep:
        yield from _sleep(given.sleep, f"{path}.sleep", grace)


def lifecycle(given: Lifecycle | None, path: str, grace: int | None) -> Iterator[FieldError]:
    """`grace`: the pod's terminationGracePeriodSeconds, which a sleep has to fit into."""
    if given is None:
        return
    limit = _LARGEST if grace is None else grace
    yield from _handler(given.post_start, f"{path}.postStart", limit)
    yield from _handler(given.pre_stop, f"{path}.preStop", limit)
