"""network/endpointslice: Endpoints and EndpointSlices of pods, of the API itself, and of hand-written Endpoints."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod
from tests.conformance.traffic import endpoints, http, service

pytestmark = pytest.mark.conformance

SLICE = "discovery.k8s.io/v1/EndpointSlice"


def slices(space: Space, name: str) -> list[Obj]:
    return space.list(SLICE, labelSelector=f"kubernetes.io/service-name={name}")


@row("API Server should have Endpoints and EndpointSlices pointing to API Server")
def test_the_api_has_endpoints(space: Space):
    (subset,) = space.http.get("/api/v1/namespaces/default/endpoints/kubernetes").ok()["subsets"]
    selector = "labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
    path = f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?{selector}"
    (part,) = space.http.get(path).ok()["items"]
    assert part["addressType"] == "IPv4"
    assert [a["ip"] for a in subset["addresses"]] == [a for each in part["endpoints"] for a in each["addresses"]]
    assert [each["port"] for each in subset["ports"]] == [each["port"] for each in part["ports"]]


@row(
    "EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods",
    "EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods",
)
def test_endpoints_come_and_go_with_the_service(space: Space):
    space.create(service("empty", {"does-not": "match"}, {"name": "example", "port": 80, "protocol": "TCP"}))
    space.wait(lambda: space.get("v1/Endpoints", "empty"))
    (part,) = space.wait(lambda: slices(space, "empty"))
    assert part["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert not part["endpoints"]
    space.delete("v1/Service", "empty")
    space.wait(lambda: space.gone("v1/Endpoints", "empty"))
    space.wait(lambda: not slices(space, "empty"))


@row(
    "EndpointSlice should create Endpoints and EndpointSlices for Pods matching a Service",
    "EndpointsController should create Endpoints for Pods matching a Service",
)
def test_endpoints_of_pods_with_named_ports(space: Space):
    ports = {
        "pod1": [{"name": "example-name", "containerPort": 3000}],
        "pod2": [{"name": "example-name", "containerPort": 3001}, {"name": "other-port", "containerPort": 3002}],
    }
    for name, its in ports.items():
        made = pod(name)
        made["metadata"]["labels"] = {name: "on", "shared12": "on"}
        made["spec"]["containers"][0]["ports"] = its
        space.create(made)
    wanted = {"publishNotReadyAddresses": True}
    space.create(service("int-port", {"pod1": "on"}, http(80, 3000), **wanted))
    space.create(service("named-port", {"shared12": "on"}, http(80, "example-name"), **wanted))
    space.create(service("no-match", {"pod3": "on"}, http(80, 8080), **wanted))
    space.wait(lambda: endpoints(space, "int-port") == {"pod1": [3000]})
    space.wait(lambda: endpoints(space, "named-port") == {"pod1": [3000], "pod2": [3001]})
    assert len(space.get("v1/Endpoints", "named-port")["subsets"]) == len(slices(space, "named-port")) == 2
    space.wait(lambda: len(slices(space, "no-match")) == 1)
    (empty,) = slices(space, "no-match")
    assert not empty["endpoints"]
    assert not empty["ports"]
    assert not space.get("v1/Endpoints", "no-match").get("subsets")
    target = slices(space, "int-port")[0]["endpoints"][0]["targetRef"]
    mine = space.get("v1/Pod", "pod1")["metadata"]
    assert target == {"kind": "Pod", "namespace": space.name, "name": "pod1", "uid": mine["uid"]}
    for each in slices(space, "named-port"):
        space.delete(SLICE, each["metadata"]["name"])
    space.wait(lambda: len(slices(space, "named-port")) == 2)
    space.wait(lambda: endpoints(space, "named-port") == {"pod1": [3000], "pod2": [3001]})


@row("EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete")
def test_hand_written_endpoints_are_mirrored(space: Space):
    port = {"name": "example", "port": 80, "protocol": "TCP"}
    space.create(service("custom", None, port))
    made = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "custom"}}
    found = space.create({**made, "subsets": [{"ports": [port], "addresses": [{"ip": "10.1.2.3"}]}]})

    def mirrored(ip: str) -> bool:
        part = slices(space, "custom")[0]
        managed = part["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        assert managed == "endpointslicemirroring-controller.k8s.io"
        assert part["ports"] == [port]
        return [each["addresses"] for each in part["endpoints"]] == [[ip]]

    space.wait(lambda: mirrored("10.1.2.3"))
    found["subsets"] = [{"ports": [port], "addresses": [{"ip": "10.2.3.4"}]}]
    space.update(found)
    space.wait(lambda: mirrored("10.2.3.4"))
    space.delete("v1/Endpoints", "custom")
    space.wait(lambda: not slices(space, "custom"))
