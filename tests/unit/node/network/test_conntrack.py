"""Which UDP flows are to be forgotten when services change."""

from __future__ import annotations

from typing import Any

from minikube.node.network.base import Backend, ServicePort
from minikube.node.network.conntrack import stale


def port(*backends: str, protocol: str = "UDP", **more: Any) -> ServicePort:
    found = tuple(Backend(ip, 53) for ip in backends)
    return ServicePort("default", "dns", "dns", protocol, ("10.43.0.9",), 53, found, **more)


def test_a_backend_that_went_leaves_its_flows() -> None:
    assert stale([port("10.42.0.2", "10.42.0.3")], [port("10.42.0.3")]) == {("10.43.0.9", 53, "10.42.0.2")}


def test_the_first_backend_ends_flows_that_led_nowhere() -> None:
    assert stale([port(node_port=30053)], [port("10.42.0.2", node_port=30053)]) == {
        ("10.43.0.9", 53, ""),
        ("", 30053, ""),
    }


def test_tcp_and_unchanged_services_have_none() -> None:
    assert stale([port("10.42.0.2", protocol="TCP")], []) == frozenset()
    assert stale([port("10.42.0.2")], [port("10.42.0.2", "10.42.0.3")]) == frozenset()
