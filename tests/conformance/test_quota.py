"""api-machinery/quota: what quotas count, refuse and let go."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import IMAGE, Obj, Space, pod

pytestmark = pytest.mark.conformance
KIND = "v1/ResourceQuota"
HARD = {
    "pods": "5",
    "services": "10",
    "services.nodeports": "1",
    "services.loadbalancers": "1",
    "replicationcontrollers": "10",
    "resourcequotas": "1",
    "cpu": "1",
    "memory": "500Mi",
    "configmaps": "10",
    "secrets": "10",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "ephemeral-storage": "50Gi",
    "requests.example.com/dongle": "3",
    "count/replicasets.apps": "5",
}
"""The quota of most upstream tests."""
TEMPLATE = {
    "metadata": {"labels": {"name": "foo"}},
    "spec": {"containers": [{"name": "main", "image": IMAGE, "command": ["sleep", "3600"]}]},
}


def quota(space: Space, name: str = "test-quota", hard: dict[str, str] | None = None, **spec: Any) -> Obj:
    return space.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": name},
            "spec": {"hard": hard or HARD, **spec},
        }
    )


def used(space: Space, name: str = "test-quota", **wanted: str) -> None:
    """Waits until the quota counts so much."""

    def counted() -> bool:
        found = space.get(KIND, name)["status"]["used"]
        assert wanted.items() <= found.items(), found
        return True

    space.wait(counted)


def asking(name: str, *, limits: dict[str, str] | None = None, **requests: str) -> Obj:
    """A pod that no node has room for, so that it stays as it is."""
    wanted = {each.replace("_", "-"): amount for each, amount in requests.items()}
    asked = {"example.com/dongle" if each == "dongle" else each: amount for each, amount in wanted.items()}
    made = pod(name, nodeSelector={"x-test.k8s.io/unsatisfiable": "not-schedulable"})
    extended = {each: amount for each, amount in asked.items() if "/" in each}
    made["spec"]["containers"][0]["resources"] = {"requests": asked, "limits": {**(limits or {}), **extended}}
    return made


@row(
    "ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated.",
    "ResourceQuota should create a ResourceQuota and capture the life of a service.",
)
def test_services_are_counted_and_their_node_ports(space: Space):
    began = time.monotonic()
    quota(space)
    used(space, resourcequotas="1", services="0", cpu="0", memory="0")
    assert time.monotonic() - began < 5
    ports = [{"port": 80, "targetPort": 80}]

    def service(name: str, type: str) -> Obj:
        spec = {"ports": ports, "type": type}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}

    space.create(service("test-service", "ClusterIP"))
    space.create(service("test-service-np", "NodePort"))
    balancer = {**service("test-service-lb", "LoadBalancer")}
    space.ask("POST", "v1/Service", body=balancer).refused(403, "Forbidden")
    used(space, services="2", **{"services.nodeports": "1", "services.loadbalancers": "0"})
    balancer["spec"]["allocateLoadBalancerNodePorts"] = False
    space.create(balancer)
    used(space, services="3", **{"services.nodeports": "1", "services.loadbalancers": "1"})
    for name in ("test-service", "test-service-np", "test-service-lb"):
        space.delete("v1/Service", name)
    used(space, services="0", **{"services.nodeports": "0", "services.loadbalancers": "0"})


@pytest.mark.parametrize(
    ("kind", "resource", "body", "before"),
    [
        pytest.param(
            "v1/Secret",
            "secrets",
            {"data": {"data-1": "dmFsdWUtMQo="}},
            0,
            marks=row("ResourceQuota should create a ResourceQuota and capture the life of a secret."),
            id="secret",
        ),
        pytest.param(
            "v1/ConfigMap",
            "configmaps",
            {"data": {"a": "b"}},
            1,
            marks=row("ResourceQuota should create a ResourceQuota and capture the life of a configMap."),
            id="configmap",
        ),
        pytest.param(
            "v1/ReplicationController",
            "replicationcontrollers",
            {"spec": {"replicas": 0, "selector": {"name": "foo"}, "template": TEMPLATE}},
            0,
            marks=row(
                "ResourceQuota should create a ResourceQuota and capture the life of a replication controller."
            ),
            id="rc",
        ),
        pytest.param(
            "apps/v1/ReplicaSet",
            "count/replicasets.apps",
            {"spec": {"replicas": 0, "selector": {"matchLabels": {"name": "foo"}}, "template": TEMPLATE}},
            0,
            marks=row("ResourceQuota should create a ResourceQuota and capture the life of a replica set."),
            id="rs",
        ),
    ],
)
def test_an_object_is_counted_while_it_is_there(space: Space, kind: str, resource: str, body: Obj, before: int):
    if before:
        space.wait(lambda: space.get("v1/ConfigMap", "kube-root-ca.crt"))
    quota(space)
    used(space, resourcequotas="1", **{resource: str(before)})
    version, _, name = kind.rpartition("/")
    space.create({"apiVersion": version, "kind": name, "metadata": {"name": "counted"}, **body})
    used(space, **{resource: str(before + 1)})
    space.delete(kind, "counted")
    used(space, **{resource: str(before)})


@row("ResourceQuota should create a ResourceQuota and capture the life of a pod.")
def test_pods_are_counted_with_what_they_request(space: Space):
    quota(space)
    used(space, pods="0")
    asked = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "requests.example.com/dongle": "2"}
    space.create(asking("test-pod", cpu="500m", memory="252Mi", ephemeral_storage="30Gi", dongle="2"))
    used(space, pods="1", **asked)
    for other in (
        asking("fail-pod", cpu="600m", memory="100Mi"),
        asking("fail-pod-for-extended-resource", cpu="500m", memory="100Mi", ephemeral_storage="30Gi", dongle="2"),
    ):
        assert "exceeded quota: test-quota" in space.ask("POST", "v1/Pod", body=other).refused(403, "Forbidden")
    present = space.get("v1/Pod", "test-pod")
    present["spec"]["containers"][0]["resources"]["requests"] |= {"cpu": "100m", "memory": "100Mi"}
    assert space.ask("PUT", "v1/Pod", "test-pod", present).code == 422
    used(space, pods="1", **asked)
    space.delete("v1/Pod", "test-pod")
    used(space, pods="0", cpu="0", memory="0", **{"requests.example.com/dongle": "0", "ephemeral-storage": "0"})


SCOPED = {"pods": "5"}
COMPUTE = {"pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi"}


@row("ResourceQuota should verify ResourceQuota with terminating scopes.")
def test_a_scope_counts_pods_with_or_without_a_deadline(space: Space):
    quota(space, "terminating", COMPUTE, scopes=["Terminating"])
    quota(space, "not-terminating", COMPUTE, scopes=["NotTerminating"])
    used(space, "terminating", pods="0")
    used(space, "not-terminating", pods="0")
    counted = {"pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1"}
    none = {"pods": "0", "requests.cpu": "0", "requests.memory": "0", "limits.cpu": "0", "limits.memory": "0"}
    for counts, not_counts, deadline in (
        ("not-terminating", "terminating", {}),
        ("terminating", "not-terminating", {"activeDeadlineSeconds": 3600}),
    ):
        made = asking("test-pod", cpu="500m", memory="200Mi", limits={"cpu": "1", "memory": "400Mi"})
        made["spec"] |= deadline
        space.create(made)
        used(space, counts, **counted, **{"limits.memory": "400Mi"})
        used(space, not_counts, **none)
        space.delete("v1/Pod", "test-pod")
        used(space, counts, **none)


@row("ResourceQuota should verify ResourceQuota with best effort scope.")
def test_a_scope_counts_pods_with_or_without_requests(space: Space):
    quota(space, "besteffort", SCOPED, scopes=["BestEffort"])
    quota(space, "not-besteffort", SCOPED, scopes=["NotBestEffort"])
    used(space, "besteffort", pods="0")
    used(space, "not-besteffort", pods="0")
    for made, counts, not_counts in (
        (asking("test-pod"), "besteffort", "not-besteffort"),
        (asking("test-pod", cpu="500m", memory="200Mi"), "not-besteffort", "besteffort"),
    ):
        space.create(made)
        used(space, counts, pods="1")
        used(space, not_counts, pods="0")
        space.delete("v1/Pod", "test-pod")
        used(space, counts, pods="0")


@row("ResourceQuota should be able to update and delete ResourceQuota.")
def test_a_quota_is_updated_and_deleted(space: Space):
    quota(space, hard={"cpu": "1", "memory": "500Mi"})
    assert space.get(KIND, "test-quota")["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}

    def put() -> Obj:
        present = space.get(KIND, "test-quota")
        present["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
        return space.update(present)

    assert space.wait(put)["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    assert space.get(KIND, "test-quota")["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    space.delete(KIND, "test-quota")
    assert space.gone(KIND, "test-quota")


@row("ResourceQuota should manage the lifecycle of a ResourceQuota")
def test_quotas_are_listed_everywhere_patched_and_deleted_as_a_collection(space: Space):
    label = f"e2e-rq-status={space.name}"
    space.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "e2e-quota", "labels": {"e2e-rq-status": space.name}},
            "spec": {"hard": {"cpu": "1", "memory": "500Mi"}},
        }
    )
    found = space.http.get(f"/api/v1/resourcequotas?labelSelector={label}").ok()["items"]
    assert [each["metadata"]["name"] for each in found] == ["e2e-quota"]
    patch = {"metadata": {"labels": {"patched": "true"}}, "spec": {"hard": {"memory": "750Mi"}}}
    patched = space.patch(KIND, "e2e-quota", patch, type=STRATEGIC)
    assert patched["spec"]["hard"] == {"cpu": "1", "memory": "750Mi"}
    assert patched["metadata"]["labels"]["patched"] == "true"
    space.http.delete(space.path(KIND, labelSelector=label)).ok()
    space.wait(lambda: not space.list(KIND))


@row("ResourceQuota should apply changes to a resourcequota status")
def test_a_status_that_somebody_wrote_is_put_right(space: Space):
    hard = {"cpu": "500m", "memory": "500Mi"}
    watch = space.watch(KIND)
    quota(space, "e2e-quota", hard)
    next(each for each in watch if each["object"].get("status", {}).get("hard") == hard)

    def put() -> Obj:
        present = space.get(KIND, "e2e-quota")
        present["status"] = {"hard": hard}
        return space.update(present, sub="status")

    assert space.wait(put)["status"]["hard"] == hard
    hard = space.patch(KIND, "e2e-quota", {"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}}, type=STRATEGIC)[
        "spec"
    ]["hard"]
    space.patch(KIND, "e2e-quota", {"status": {"hard": hard}}, type=STRATEGIC, sub="status")
    next(each for each in watch if each["object"].get("status", {}).get("hard") == hard)
    assert space.get(KIND, "e2e-quota", sub="status")["status"]["hard"] == {"cpu": "1", "memory": "1Gi"}
    wrong = {"cpu": "2", "memory": "2Gi"}
    patched = space.patch(KIND, "e2e-quota", {"status": {"hard": wrong}}, type=STRATEGIC, sub="status")
    assert patched["status"]["hard"] == wrong
    next(each for each in watch if each["object"]["status"]["hard"] == wrong)
    space.wait(lambda: space.get(KIND, "e2e-quota")["status"]["hard"] == {"cpu": "1", "memory": "1Gi"})
