"""network/service: what Services lead to, while pods and their own kind change."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod
from tests.conformance.traffic import client, dial, endpoints, http, outside, reached, servers, service, udp

pytestmark = pytest.mark.conformance

WEB = {"app": "web"}


@row(
    "API Server should provide secure master service", "Services should find a service from listing all namespaces"
)
def test_the_api_is_a_service(space: Space):
    found = space.http.get("/api/v1/services").ok()["items"]
    (kubernetes,) = [
        each
        for each in found
        if (each["metadata"]["namespace"], each["metadata"]["name"]) == ("default", "kubernetes")
    ]
    assert kubernetes["spec"]["clusterIP"] == "10.43.0.1"
    assert [each["port"] for each in kubernetes["spec"]["ports"]] == [443]


def server(name: str, *ports: Obj) -> Obj:
    made = pod(name)
    made["metadata"]["labels"] = WEB
    made["spec"]["containers"][0]["ports"] = list(ports)
    return made


@row("Services should serve a basic endpoint from pods")
def test_endpoints_follow_the_pods(space: Space):
    space.create(service("web", WEB))
    space.wait(lambda: endpoints(space, "web") == {})
    caller = client(space)
    servers(space, "pod1")
    space.wait(lambda: endpoints(space, "web") == {"pod1": [8080]})
    space.wait(lambda: reached(space, caller, "web", 80) == {"pod1"})
    servers(space, "pod2")
    space.wait(lambda: endpoints(space, "web") == {"pod1": [8080], "pod2": [8080]})
    space.wait(lambda: reached(space, caller, "web", 80) == {"pod1", "pod2"})
    space.delete("v1/Pod", "pod1")
    space.wait(lambda: endpoints(space, "web") == {"pod2": [8080]})
    space.wait(lambda: reached(space, caller, "web", 80) == {"pod2"})
    space.delete("v1/Pod", "pod2")
    space.wait(lambda: endpoints(space, "web") == {})
    space.wait(lambda: reached(space, caller, "web", 80) == set())


@row("Services should serve multiport endpoints from pods")
def test_a_service_of_two_ports_with_different_pods_behind(space: Space):
    ports = [http(80, "svc1") | {"name": "portname1"}, http(81, "svc2") | {"name": "portname2"}]
    space.create(service("multi", WEB, *ports))
    space.wait(lambda: endpoints(space, "multi") == {})
    space.run(server("pod1", {"name": "svc1", "containerPort": 100}))
    space.wait(lambda: endpoints(space, "multi") == {"pod1": [100]})
    space.run(server("pod2", {"name": "svc2", "containerPort": 101}))
    space.wait(lambda: endpoints(space, "multi") == {"pod1": [100], "pod2": [101]})
    space.delete("v1/Pod", "pod1")
    space.wait(lambda: endpoints(space, "multi") == {"pod2": [101]})
    space.delete("v1/Pod", "pod2")
    space.wait(lambda: endpoints(space, "multi") == {})


@row("Services should serve endpoints on same port and different protocols")
def test_one_port_number_for_two_protocols(space: Space):
    servers(space, "pod1")
    caller = client(space)
    made = space.create(service("both", WEB, http(), udp()))
    address = made["spec"]["clusterIP"]

    def answers() -> tuple[set[str], set[str]]:
        return set(dial(space, caller, address, 80)), set(dial(space, caller, address, 80, protocol="udp"))

    def protocols() -> set[str]:
        selector = "kubernetes.io/service-name=both"
        slices = space.list("discovery.k8s.io/v1/EndpointSlice", labelSelector=selector)
        return {port["protocol"] for each in slices for port in each["ports"] or ()}

    space.wait(lambda: answers() == ({"pod1"}, {"pod1"}))
    assert protocols() == {"TCP", "UDP"}
    for left, expected in ((udp(), (set(), {"pod1"})), (http(), ({"pod1"}, set()))):
        found = space.get("v1/Service", "both")
        found["spec"]["ports"] = [left]
        space.update(found)
        space.wait(lambda left=left: protocols() == {left["protocol"]})
        space.wait(lambda expected=expected: answers() == expected)


def resolved(space: Space, caller: str, name: str) -> str:
    return space.exec(caller, "dig", "+short", f"{name}.{space.name}.svc.cluster.local")


@row(
    "Services should be able to change the type from ClusterIP to ExternalName",
    "Services should be able to change the type from NodePort to ExternalName",
)
@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_a_service_becomes_a_name(space: Space, kind: str):
    """Addresses and node ports go although the client sends them along."""
    made = space.create(service("web", WEB, type=kind))
    target = "kubernetes.default.svc.cluster.local"
    caller = client(space)
    made["spec"] |= {"type": "ExternalName", "externalName": target}
    found = space.update(made)["spec"]
    assert not {"clusterIP", "clusterIPs"} & found.keys()
    assert "nodePort" not in found["ports"][0]
    space.wait(lambda: resolved(space, caller, "web").splitlines() == [f"{target}.", "10.43.0.1"])
    again = service("web2", WEB, http(80, 8080), type="ClusterIP", clusterIP=made["spec"]["clusterIP"])
    space.wait(lambda: space.ask("POST", "v1/Service", body=again).code == 201)


@row(
    "Services should be able to change the type from ExternalName to ClusterIP",
    "Services should be able to change the type from ExternalName to NodePort",
)
@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_a_name_becomes_a_service(space: Space, kind: str):
    name = service("web", WEB, type="ExternalName", externalName="foo.example.com")
    name["spec"]["ports"] = []
    made = space.create(name)
    servers(space, "pod1", "pod2")
    caller = client(space)
    made["spec"] |= {"type": kind, "externalName": "", "ports": [http()]}
    found = space.update(made)["spec"]
    assert found["clusterIP"]
    for host in ("web", found["clusterIP"]):
        space.wait(lambda host=host: reached(space, caller, host, 80) == {"pod1", "pod2"})
    if kind == "NodePort":
        for address in space.site.nodes.values():
            space.wait(lambda address=address: reached(space, caller, address, found["ports"][0]["nodePort"]))
            assert outside(address, found["ports"][0]["nodePort"]) in ("pod1", "pod2")


@row("Services should be able to create a functioning NodePort service")
def test_a_node_port_is_reached_on_every_node(space: Space):
    made = space.create(service("web", WEB, type="NodePort"))
    servers(space, "pod1", "pod2")
    caller = client(space)
    port = made["spec"]["ports"][0]["nodePort"]
    for host, number in (
        ("web", 80),
        (made["spec"]["clusterIP"], 80),
        *((a, port) for a in space.site.nodes.values()),
    ):
        space.wait(lambda host=host, number=number: reached(space, caller, host, number) == {"pod1", "pod2"})
    for address in space.site.nodes.values():
        assert {outside(address, port) for _ in range(20)} == {"pod1", "pod2"}


def sticks(space: Space, caller: str, host: str, port: int) -> bool:
    found = dial(space, caller, host, port, tries=20)
    assert len(found) == 20
    return len(set(found)) == 1


def affinity(space: Space, name: str, kind: str) -> None:
    found = space.get("v1/Service", name)
    found["spec"]["sessionAffinity"] = kind
    if kind == "None":
        found["spec"].pop("sessionAffinityConfig", None)
    space.update(found)


@row(
    "Services should have session affinity work for service with type clusterIP",
    "Services should be able to switch session affinity for service with type clusterIP",
    "Services should have session affinity work for NodePort service",
    "Services should be able to switch session affinity for NodePort service",
)
@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_a_client_keeps_its_pod_while_affinity_is_on(space: Space, kind: str):
    made = space.create(service("web", WEB, type=kind, sessionAffinity="ClientIP"))
    servers(space, "pod1", "pod2", "pod3")
    caller = client(space)
    where = [(made["spec"]["clusterIP"], 80)]
    if kind == "NodePort":
        where = [(address, made["spec"]["ports"][0]["nodePort"]) for address in space.site.nodes.values()]
    for host, port in where:
        space.wait(lambda host=host, port=port: sticks(space, caller, host, port))
    affinity(space, "web", "None")
    for host, port in where:
        space.wait(lambda host=host, port=port: not sticks(space, caller, host, port))
    affinity(space, "web", "ClientIP")
    for host, port in where:
        space.wait(lambda host=host, port=port: sticks(space, caller, host, port))


@row("Service endpoints latency should not be very high")
def test_many_services_have_their_endpoints_soon(space: Space):
    space.run(server("pod1"))

    def latency(number: int) -> float:
        began = time.monotonic()
        space.create(service(f"web{number}", WEB))
        space.wait(lambda: endpoints(space, f"web{number}") == {"pod1": [8080]})
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(latency, range(60)))
    deciles = quantiles(took, n=10)
    print(f"endpoints after {deciles[4]:.3f} s (median), {deciles[8]:.3f} s (90 %)")
    assert deciles[4] < 20
    assert deciles[8] < 50
