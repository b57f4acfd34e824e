"""What the proxy is told of Services and EndpointSlices, and what load balancers are told of them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping

import pytest

from minikube.api.core_v1 import Service, ServiceSpec
from minikube.api.core_v1 import ServicePort as Port
from minikube.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from minikube.api.meta import ObjectMeta
from minikube.node.network.base import ServicePort
from minikube.node.network.service_health import ServiceHealth
from minikube.node.network.services import service_ports

READY = EndpointConditions(ready=True, serving=True, terminating=False)
DRAINING = EndpointConditions(ready=False, serving=True, terminating=True)
GONE = EndpointConditions(ready=False, serving=False, terminating=True)


def port(
    *endpoints: tuple[str, str, EndpointConditions],
    labels: Mapping[str, str] | None = None,
    check: int = 0,
) -> list[ServicePort]:
    """Of one service, seen from node `a`; endpoints are (address, node, conditions)."""
    meta = ObjectMeta(name="web", namespace="default", labels=dict(labels or {}))
    spec = ServiceSpec(
        cluster_ip="10.43.0.5",
        ports=(Port(name="http", port=80),),
        external_traffic_policy="Local",
        health_check_node_port=check,
    )
    slice = EndpointSlice(
        metadata=ObjectMeta(name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"}),
        address_type="IPv4",
        ports=(EndpointPort(name="http", port=8080),),
        endpoints=tuple(
            Endpoint(addresses=(address,), node_name=node, conditions=conditions)
            for address, node, conditions in endpoints
        ),
    )
    return list(service_ports([Service(metadata=meta, spec=spec)], [slice], "a"))


def test_what_ends_serves_only_where_nothing_is_ready() -> None:
    (found,) = port(("10.42.0.2", "a", DRAINING), ("10.42.1.2", "b", READY), ("10.42.0.3", "a", GONE))
    assert [backend.ip for backend in found.everywhere] == ["10.42.1.2"]
    assert [backend.ip for backend in found.here] == ["10.42.0.2"]
    (found,) = port(("10.42.0.2", "a", DRAINING), ("10.42.1.2", "b", DRAINING))
    assert [backend.ip for backend in found.everywhere] == ["10.42.0.2", "10.42.1.2"]
    (found,) = port(("10.42.0.2", "a", DRAINING), ("10.42.0.4", "a", READY))
    assert [backend.ip for backend in found.here] == ["10.42.0.4"]


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_services_of_others_are_left_alone(label: str) -> None:
    assert port(("10.42.0.2", "a", READY), labels={label: ""}) == []


async def told(number: int) -> tuple[str, dict[str, object]]:
    """Status line and body of a health check."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.decode().split("\r\n")[0], json.loads(body)


async def test_a_balancer_hears_whether_pods_are_here() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    found = port(("10.42.0.2", "a", READY), ("10.42.1.2", "b", READY), check=number)
    ending = port(("10.42.0.2", "a", DRAINING), check=number)
    async with ServiceHealth() as checks:
        await checks.apply(found)
        status, body = await told(number)
        assert status == "HTTP/1.1 200 OK"
        assert body == {
            "service": {"namespace": "default", "name": "web"},
            "localEndpoints": 1,
            "serviceProxyHealthy": True,
        }
        await checks.apply(ending)
        status, body = await told(number)
        assert (status, body["localEndpoints"]) == ("HTTP/1.1 503 Service Unavailable", 0)
        await checks.apply([])
        with pytest.raises(OSError, match=r"refused|failed"):
            await told(number)
