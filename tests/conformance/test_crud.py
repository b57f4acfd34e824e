"""node/dra, api-machinery/storage-migration, auth/trust-bundles, storage, network/service-cidr: what every kind can do.

As the upstream suite's common test of a resource: create, read, list, watch, update, every kind of patch, of the object
and of its status, delete, delete the collection.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.api.raw import APPLY, JSON_PATCH, MERGE, STRATEGIC
from tests.conformance.operations import every_verb, listed_in_discovery
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, kind_of
from tests.conformance.test_trust_bundles import certificate

pytestmark = pytest.mark.conformance

DRA = "resource.k8s.io/v1"
REQUEST = {
    "name": "req-0",
    "exactly": {"deviceClassName": "example-class", "allocationMode": "ExactCount", "count": 1},
}
CONDITION = {
    "type": "Example", "status": "True", "reason": "Testing", "message": "m", "observedGeneration": 1,
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}  # fmt: skip
ALLOCATION = {
    "devices": {"results": [{"request": "req-0", "driver": "dra.example.com", "pool": "pool", "device": "dev-0"}]}
}
LABELS = {"metadata": {"labels": {"changed": "yes"}}}


def kind(version: str, name: str, spec: Obj, **meta: Any) -> Obj:
    return {"apiVersion": version, "kind": name, "metadata": {"name": "test", **meta}, "spec": spec}


DEVICE = {"name": "dev-0", "attributes": {"example.com/healthy": {"bool": False}}}
SLICE = {"driver": "dra.example.com", "nodeName": "node", "pool": {"name": "pool", "resourceSliceCount": 1}}


@pytest.mark.parametrize(
    ("wanted", "change", "status"),
    [
        pytest.param(
            kind(DRA, "DeviceClass", {"selectors": [{"cel": {"expression": "true"}}]}),
            {"spec": {"selectors": [{"cel": {"expression": "device.driver == 'dra.example.com'"}}]}},
            None,
            marks=row("CRUD Tests resource.k8s.io/v1 DeviceClass"),
        ),
        pytest.param(
            kind(
                DRA, "DeviceTaintRule", {"deviceSelector": {"driver": "d"}, "taint": {"key": "k", "effect": "None"}}
            ),
            {"spec": {"taint": {"key": "k", "effect": "NoExecute"}}},
            {"status": {"conditions": [CONDITION]}},
            marks=row("CRUD Tests resource.k8s.io/v1 DeviceTaintRule"),
        ),
        pytest.param(
            kind(DRA, "ResourceClaim", {"devices": {"requests": [REQUEST]}}),
            LABELS,
            {"status": {"allocation": ALLOCATION}},
            marks=row("CRUD Tests resource.k8s.io/v1 ResourceClaim"),
        ),
        pytest.param(
            kind(DRA, "ResourceClaimTemplate", {"spec": {"devices": {"requests": [REQUEST]}}}),
            LABELS,
            None,
            marks=row("CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate"),
        ),
        pytest.param(
            kind(DRA, "ResourceSlice", SLICE),
            {"spec": {"devices": [DEVICE]}},
            None,
            marks=row("CRUD Tests resource.k8s.io/v1 ResourceSlice"),
        ),
        pytest.param(
            kind(
                "storagemigration.k8s.io/v1",
                "StorageVersionMigration",
                {"resource": {"group": "e2e.example.com", "resource": "nothings"}},
            ),
            LABELS,
            {"status": {"conditions": [CONDITION]}},
            marks=row("StorageVersionMigration CRUD Tests storagemigration.k8s.io/v1 StorageVersionMigration"),
        ),
        pytest.param(
            kind("certificates.k8s.io/v1", "ClusterTrustBundle", {"trustBundle": certificate("first")}),
            {"spec": {"trustBundle": certificate("second")}},
            None,
            marks=row("CRUD Tests certificates.k8s.io/v1 ClusterTrustBundles"),
        ),
    ],
)
def test_the_life_of_a_resource(space: Space, wanted: Obj, change: Obj, status: Obj | None):
    kind = kind_of(wanted)
    wanted = copy.deepcopy(wanted)
    wanted["metadata"] |= {"name": f"test-{space.name}", "labels": {"of": space.name}}
    name, select = wanted["metadata"]["name"], {"labelSelector": f"of={space.name}"}
    since = space.version(kind)
    made = space.create(wanted)
    assert contains(made, wanted)
    assert contains(space.get(kind, name), wanted)
    assert [each["metadata"]["uid"] for each in space.list(kind, **select)] == [made["metadata"]["uid"]]
    everywhere = space.path(kind, **select).replace(f"/namespaces/{space.name}", "")
    assert len(space.http.get(everywhere).ok()["items"]) == 1
    changed = space.update(merged(space.get(kind, name), change))
    assert contains(changed, change)
    if status is not None:
        assert contains(space.update(merged(changed, status), sub="status"), status)
        assert contains(space.get(kind, name, sub="status"), status)
    space.delete(kind, name)
    for type in ("ADDED", "MODIFIED", "DELETED"):
        space.until(kind, lambda one: one["metadata"]["name"] == name, since=since, type=type, **select)
    for type, of in ((STRATEGIC, change), (MERGE, change), (APPLY, change), (JSON_PATCH, change)):
        space.wait(lambda: space.gone(kind, name))
        space.create(wanted)
        assert contains(space.patch(kind, name, patch(wanted, of, type), type=type, query=manager(type)), of)
        if status is not None:
            found = patch(wanted, status, type)
            assert contains(space.patch(kind, name, found, type=type, query=manager(type), sub="status"), status)
        answer = space.ask("DELETE", kind, body={}, query=select).ok()
        assert answer["kind"].endswith("List")
    space.wait(lambda: not space.list(kind, **select))


def manager(type: str) -> dict[str, str]:
    return {"fieldManager": "test", "force": "true"} if type == APPLY else {}


def patch(wanted: Obj, change: Obj, type: str) -> Any:
    """The same change in any patch's words."""
    if type == APPLY:
        return {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], **copy.deepcopy(change)}
    if type != JSON_PATCH:
        return change
    steps = []
    for top, inside in change.items():
        if top == "status":
            return [{"op": "add", "path": "/status", "value": inside}]
        steps += [{"op": "add", "path": f"/{top}/{key}", "value": value} for key, value in inside.items()]
    return steps


def merged(obj: Obj, change: Obj) -> Obj:
    out = copy.deepcopy(obj)
    for key, value in change.items():
        out[key] = merged(out.get(key, {}), value) if isinstance(value, dict) else value
    return out


def contains(found: Any, wanted: Any) -> bool:
    """All that was sent is there; more may be."""
    if isinstance(wanted, dict):
        return all(key in found and contains(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return bool(found == wanted)


@row("VolumeAttributesClass should run through the lifecycle of a VolumeAttributesClass")
def test_a_volume_attributes_class(space: Space):
    kind = "storage.k8s.io/v1/VolumeAttributesClass"
    made = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttributesClass",
        "driverName": "e2e-fake-csi-driver",
        "parameters": {"iops": "1000"},
    }
    listed_in_discovery(space, kind, status=False)
    every_verb(space, made)


@row("ServiceCIDR and IPAddress API should support ServiceCIDR API operations")
def test_the_range_of_service_addresses(space: Space):
    kind = "networking.k8s.io/v1/ServiceCIDR"
    listed_in_discovery(space, kind, status=True)
    found, status = space.get(kind, "kubernetes"), space.get(kind, "kubernetes", sub="status")
    assert (status["kind"], status["metadata"]["uid"]) == ("ServiceCIDR", found["metadata"]["uid"])
    assert found["spec"]["cidrs"] == ["10.43.0.0/16"]
    assert condition(found, "Ready") == "True"
    assert found["metadata"]["uid"] in [each["metadata"]["uid"] for each in space.list(kind)]
    assert next(space.watch(kind))["type"] == "ADDED"


@row("ServiceCIDR and IPAddress API should support IPAddress API operations")
def test_addresses_of_services(space: Space):
    kind = "networking.k8s.io/v1/IPAddress"
    listed_in_discovery(space, kind, status=False)
    assert space.get(kind, "10.43.0.1")["spec"]["parentRef"]["name"] == "kubernetes"
    parent = {"group": "mygroup", "resource": "myresources", "name": "bar", "namespace": "foo"}
    for name in ("255.255.255.255", "fe80::42:1dff:fe84:f9e2"):
        meta = {"name": name, "labels": {"of": space.name, "family": "6" if ":" in name else "4"}}
        spec = {"parentRef": parent}
        space.create({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": meta, "spec": spec})
    since, select = space.version(kind), f"of={space.name}"
    found = space.patch(kind, "255.255.255.255", {"metadata": {"annotations": {"patched": "true"}}})
    found["metadata"]["annotations"]["updated"] = "true"
    assert space.update(found)["metadata"]["annotations"] == {"patched": "true", "updated": "true"}
    space.until(
        kind,
        lambda one: "updated" in one["metadata"]["annotations"],
        since=since,
        type="MODIFIED",
        labelSelector=select,
    )
    assert len(space.list(kind, labelSelector=f"{select},family=4")) == 1
    space.delete(kind, "255.255.255.255")
    space.ask("DELETE", kind, body={}, query={"labelSelector": f"{select},family=6"}).ok()
    assert not space.list(kind, labelSelector=select)
