"""Which UDP flows are to be forgotten when services change."""

from __future__ import annotations

from typing import Any

import msgspec

from minikube.node.network.base import Backend, ServicePort
from minikube.node.network.conntrack import host_flows, stale
from minikube.node.runtime.base import PortMapping


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


def test_the_flows_of_a_host_port_end_with_its_pod() -> None:
    ports = [PortMapping(host_ip="", host_port=5353, container_port=53, protocol="UDP")]
    flows = host_flows("10.42.0.2", ports)
    assert stale(flows, []) == {("", 5353, "10.42.0.2")}
    nobody = [msgspec.structs.replace(port, backends=()) for port in flows]
    assert stale(nobody, flows) == {("", 5353, "")}


def test_tcp_and_unchanged_services_have_none() -> None:
    assert stale([port("10.42.0.2", protocol="TCP")], []) == frozenset()
    assert stale([port("10.42.0.2")], [port("10.42.0.2", "10.42.0.3")]) == frozenset()
