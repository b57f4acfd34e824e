"""network/service, network/endpointslice, network/ingress: the API alone, with its watches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.raw import JSON, MERGE
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, kind_of
from tests.conformance.traffic import http, service

pytestmark = pytest.mark.conformance

STRATEGIC = "application/strategic-merge-patch+json"
SLICE = "discovery.k8s.io/v1/EndpointSlice"


def watched(space: Space, kind: str, since: str, selector: str, **query: Any) -> list[Obj]:
    path = space.path(kind, watch=1, labelSelector=selector, resourceVersion=since, timeoutSeconds=1, **query)
    return space.http.events(path)


@row("Services should complete a service status lifecycle")
def test_the_life_of_the_status_of_a_service(space: Space):
    since = space.http.get("/api/v1/services?labelSelector=static%3Dtrue").ok()["metadata"]["resourceVersion"]
    made = service(
        "web", {"a": "b"}, http(80, 80), type="LoadBalancer", loadBalancerClass="example.com/internal-vip"
    )
    made["metadata"]["labels"] = {"static": "true"}
    space.create(made)
    assert space.get("v1/Service", "web", sub="status")["status"] == {"loadBalancer": {}}
    patch = {
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
    }
    found = space.patch("v1/Service", "web", patch, sub="status")
    assert found["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.1", "ipMode": "VIP"}]
    told = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    found = space.get("v1/Service", "web")
    found["status"]["conditions"] = [told | {"lastTransitionTime": None}]
    (condition,) = space.update(found, sub="status")["status"]["conditions"]
    assert told.items() <= condition.items()
    space.patch("v1/Service", "web", {"metadata": {"labels": {"test-service": "patched"}}}, type=STRATEGIC)
    space.delete("v1/Service", "web")
    events = watched(space, "v1/Service", since, "static=true")
    assert [each["type"] for each in events] == ["ADDED", *["MODIFIED"] * 3, "DELETED"]
    last = events[-1]["object"]
    assert last["metadata"]["annotations"] == {"patchedstatus": "true"}
    assert last["metadata"]["labels"] == {"static": "true", "test-service": "patched"}


@row("Services should delete a collection of services")
def test_services_are_deleted_by_their_label(space: Space):
    for number in range(3):
        made = service(f"e2e-svc-{number}", {"a": "b"})
        made["metadata"]["labels"] = {"e2e": "yes" if number < 2 else "no"}
        space.create(made)
    space.ask("DELETE", "v1/Service", query={"labelSelector": "e2e=yes"}, type=JSON).ok()
    assert [each["metadata"]["name"] for each in space.list("v1/Service")] == ["e2e-svc-2"]


def subset(ip: str, name: str, port: int) -> Obj:
    return {"addresses": [{"ip": ip}], "ports": [{"name": name, "port": port, "protocol": "TCP"}]}


@row("Endpoints should test the lifecycle of an Endpoint")
def test_the_life_of_endpoints(space: Space):
    since = space.ask("GET", "v1/Endpoints").ok()["metadata"]["resourceVersion"]
    labels = {"test-endpoint-static": "true"}
    made = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "testservice", "labels": labels}}
    found = space.create({**made, "subsets": [subset("10.0.0.24", "http", 80)]})
    everywhere = space.http.get("/api/v1/endpoints?labelSelector=test-endpoint-static%3Dtrue").ok()["items"]
    assert space.name in {each["metadata"]["namespace"] for each in everywhere}
    found["metadata"]["labels"]["test-service"] = "updated"
    space.update(found)
    patch = {
        "metadata": {"labels": {"test-service": "patched"}},
        "subsets": [subset("10.0.0.25", "http-test", 8080)],
    }
    space.patch("v1/Endpoints", "testservice", patch, type=STRATEGIC)
    found = space.get("v1/Endpoints", "testservice")
    assert found["metadata"]["labels"]["test-service"] == "patched"
    assert found["subsets"] == [subset("10.0.0.25", "http-test", 8080)]
    space.ask("DELETE", "v1/Endpoints", query={"labelSelector": "test-endpoint-static=true"}, type=JSON).ok()
    types = [each["type"] for each in watched(space, "v1/Endpoints", since, "test-endpoint-static=true")]
    assert types == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def found_by_discovery(space: Space, kind: str, resource: str, *, status: bool) -> None:
    group, version, _ = kind.split("/")
    groups = space.http.get("/apis").ok()["groups"]
    (mine,) = [each for each in groups if each["name"] == group]
    assert version in [each["version"] for each in mine["versions"]]
    assert version in [each["version"] for each in space.http.get(f"/apis/{group}").ok()["versions"]]
    names = [each["name"] for each in space.http.get(f"/apis/{group}/{version}").ok()["resources"]]
    assert resource in names
    assert (f"{resource}/status" in names) == status


def every_verb(space: Space, made: Obj, resource: str) -> str:
    """Creates three of it, walks the verbs on the last and returns its name; the collection is left."""
    kind = kind_of(made)
    made["metadata"] = {"generateName": "e2e-example-", "labels": {"special": space.name}}
    *_, found = [space.create(made) for _ in range(3)]
    name = found["metadata"]["name"]
    selector = f"special={space.name}"
    assert space.get(kind, name)["metadata"]["uid"] == found["metadata"]["uid"]
    listed = space.ask("GET", kind, query={"labelSelector": selector}).ok()
    assert len(listed["items"]) == 3
    group, version, _ = kind.split("/")
    whole = f"/apis/{group}/{version}/{resource}?labelSelector=special%3D{space.name}"
    assert len(space.http.get(whole).ok()["items"]) == 3
    since = listed["metadata"]["resourceVersion"]
    found = space.patch(kind, name, {"metadata": {"annotations": {"patched": "true"}}})
    assert found["metadata"]["annotations"] == {"patched": "true"}
    found["metadata"]["annotations"]["updated"] = "true"
    assert space.update(found)["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
    for path in (whole, space.path(kind, labelSelector=selector)):
        events = space.http.events(f"{path}&watch=1&resourceVersion={since}&timeoutSeconds=1")
        assert [each["type"] for each in events] == ["MODIFIED", "MODIFIED"]
        assert events[-1]["object"]["metadata"]["annotations"]["updated"] == "true"
    return name


def deleted(space: Space, kind: str, name: str) -> None:
    selector = {"labelSelector": f"special={space.name}"}
    space.delete(kind, name)
    assert space.gone(kind, name)
    assert len(space.list(kind, **selector)) == 2
    space.ask("DELETE", kind, query=selector, type=JSON).ok()
    assert space.list(kind, **selector) == []


@row("EndpointSlice should support creating EndpointSlice API operations")
def test_every_verb_of_endpoint_slices(space: Space):
    found_by_discovery(space, SLICE, "endpointslices", status=False)
    endpoints = [{"addresses": ["1.2.3.4", "5.6.7.8"]}, {"addresses": ["2.2.3.4", "6.6.7.8"]}]
    made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"}
    name = every_verb(space, {**made, "endpoints": endpoints}, "endpointslices")
    deleted(space, SLICE, name)


@row("Ingress API should support creating Ingress API operations")
def test_every_verb_of_ingresses(space: Space):
    kind = "networking.k8s.io/v1/Ingress"
    found_by_discovery(space, kind, "ingresses", status=True)
    backend = {"service": {"name": "default-backend", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "ImplementationSpecific", "backend": backend}]
    rules = [{"host": "foo.bar.com", "http": {"paths": paths}}]
    made = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "spec": {"defaultBackend": backend, "rules": rules},
    }
    name = every_verb(space, made, "ingresses")
    status = {"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": status}
    found = space.patch(kind, name, patch, type=MERGE, sub="status")
    assert found["status"] == status
    assert found["metadata"]["annotations"]["patchedstatus"] == "true"
    found = space.get(kind, name)
    found["status"] = {"loadBalancer": {"ingress": [{"ip": "169.1.1.2"}, {"hostname": "bar.com"}]}}
    assert space.update(found, sub="status")["status"] == found["status"]
    assert space.get(kind, name, sub="status")["metadata"]["uid"] == found["metadata"]["uid"]
    deleted(space, kind, name)


@row("IngressClass API should support creating IngressClass API operations")
def test_every_verb_of_ingress_classes(space: Space):
    kind = "networking.k8s.io/v1/IngressClass"
    found_by_discovery(space, kind, "ingressclasses", status=False)
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"}
    name = every_verb(space, {**made, "spec": {"controller": "example.com/controller"}}, "ingressclasses")
    deleted(space, kind, name)
