"""Services change their type, and give back or keep what the old type had, as the conformance suite does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Cluster
from tests.api.raw import Http

PLACE = "/api/v1/namespaces/default/services"


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


@pytest.fixture(autouse=True)
def cleared(http: Http) -> Iterator[None]:
    yield
    http.delete(f"{PLACE}?labelSelector=test%3Dservices").ok()


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"test": "services"}},
        "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec},
    }


def changed(http: Http, name: str, **spec: Any) -> Any:
    """The spec after a PUT of the present object with these fields, as client-go's UpdateService does."""
    for _ in range(5):
        present = http.get(f"{PLACE}/{name}").ok()
        present["spec"] |= spec
        answered = http.put(f"{PLACE}/{name}", present)
        if answered.code != 409:
            break
    return answered.ok()["spec"]


def test_a_node_port_service_becomes_an_external_name_and_comes_back(http: Http):
    made = http.post(PLACE, service("s", type="NodePort")).ok(201)["spec"]
    port, address = made["ports"][0]["nodePort"], made["clusterIP"]
    outside = changed(http, "s", type="ExternalName", externalName="x.example.com")
    assert {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}.isdisjoint(outside)
    assert "nodePort" not in outside["ports"][0]
    other = service("t", type="NodePort", clusterIP=address, ports=[{"port": 1, "nodePort": port}])
    http.post(PLACE, other).ok(201)
    inside = changed(http, "s", type="NodePort", externalName="")
    assert inside["ports"][0]["nodePort"] not in (0, port)
    assert inside["clusterIP"] not in ("", address)


def test_a_cluster_ip_service_becomes_an_external_name(http: Http):
    http.post(PLACE, service("s")).ok(201)
    assert "clusterIP" not in changed(http, "s", type="ExternalName", externalName="x.example.com", clusterIP="")


def test_a_load_balancer_becomes_a_cluster_ip_service(http: Http):
    made = http.post(PLACE, service("s", type="LoadBalancer")).ok(201)["spec"]
    assert made["externalTrafficPolicy"] == "Cluster"
    inside = changed(http, "s", type="ClusterIP")
    assert {"externalTrafficPolicy", "allocateLoadBalancerNodePorts"}.isdisjoint(inside)
    assert inside["clusterIP"] == made["clusterIP"]


def test_who_leaves_out_what_was_allocated_keeps_it(http: Http):
    made = http.post(PLACE, service("s", type="NodePort")).ok(201)["spec"]
    kept = http.put(f"{PLACE}/s", service("s", type="NodePort")).ok()["spec"]
    assert (kept["clusterIP"], kept["ports"]) == (made["clusterIP"], made["ports"])


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"clusterIP": "10.43.0.1"}, "failed to allocate IP 10.43.0.1: provided IP is already allocated"),
        ({"clusterIP": "1.2.3.4"}, "The range of valid IPs is 10.43.0.0/16"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 3}]}, "The range of valid ports is 30000-32767"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        (
            {"type": "ExternalName", "externalName": "a.example.com", "clusterIP": "10.43.0.9"},
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(http: Http, spec: dict[str, Any], told: str):
    assert told in http.post(PLACE, service("s", **spec)).refused(422, "Invalid")


def test_an_address_that_was_refused_is_not_held(http: Http):
    taken = service("s", type="NodePort", clusterIP="10.43.9.9", ports=[{"port": 0, "nodePort": 30999}])
    http.post(PLACE, taken).refused(422, "Invalid")
    http.post(f"{PLACE}?dryRun=All", service("s", clusterIP="10.43.9.9")).ok(201)
    http.post(
        PLACE, service("s", type="NodePort", clusterIP="10.43.9.9", ports=[{"port": 1, "nodePort": 30999}])
    ).ok(201)


def test_a_status_of_a_service_lives(http: Http):
    http.post(PLACE, service("s", type="LoadBalancer")).ok(201)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    patched = http.patch(f"{PLACE}/s/status", {"metadata": {"annotations": {"a": "b"}}, **status}).ok()
    assert patched["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
    assert patched["metadata"]["annotations"] == {"a": "b"}


def test_a_local_load_balancer_has_a_port_for_health_checks(http: Http):
    local: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = http.post(PLACE, service("s", **local)).ok(201)["spec"]
    port = made["healthCheckNodePort"]
    assert port not in (0, made["ports"][0]["nodePort"])
    wanted = http.get(f"{PLACE}/s").ok()
    wanted["spec"]["healthCheckNodePort"] = port + 1
    assert "cannot change healthCheckNodePort" in http.put(f"{PLACE}/s", wanted).refused(422, "Invalid")
    taken = service("t", **local, healthCheckNodePort=port)
    assert "provided port is already allocated" in http.post(PLACE, taken).refused(500, "InternalError")
    assert "healthCheckNodePort" not in changed(http, "s", externalTrafficPolicy="Cluster")
    http.post(PLACE, taken).ok(201)
