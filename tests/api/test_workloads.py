"""What controllers and the scheduler make of objects, seen with kubectl."""

import json
from typing import Any

from tests.api.conftest import Cluster


def template(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec}}


def rc(name: str, replicas: int) -> str:
    spec = {"replicas": replicas, "selector": {"rc": name}, "template": template({"rc": name})}
    return json.dumps(
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": spec}
    )


def names(cluster: Cluster, kind: str, selector: str = "") -> list[str]:
    found = (
        cluster.kubectl("get", kind, "-l", selector, "-o", "name")
        if selector
        else cluster.kubectl("get", kind, "-o", "name")
    )
    return sorted(line.partition("/")[2] for line in found.split())


def field(cluster: Cluster, what: str, path: str) -> str:
    return cluster.kubectl("get", *what.split(), "-o", f"jsonpath={{{path}}}")


def test_a_rollout_is_undone_and_its_history_kept(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "roll", "--image=nginx", "--replicas=3")
    cluster.kubectl("rollout", "status", "deployment/roll", "--timeout=30s")
    cluster.kubectl("set", "image", "deployment/roll", "nginx=nginx:2")
    cluster.kubectl("rollout", "status", "deployment/roll", "--timeout=30s")
    cluster.kubectl("rollout", "undo", "deployment/roll")
    cluster.kubectl("rollout", "status", "deployment/roll", "--timeout=30s")
    assert field(cluster, "deployment roll", ".spec.template.spec.containers[0].image") == "nginx"
    assert cluster.kubectl("rollout", "history", "deployment/roll").split()[3:] == ["2", "<none>", "3", "<none>"]


def test_a_replication_controller_replaces_releases_and_leaves_orphans(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=rc("serve", 3))
    cluster.wait(lambda: field(cluster, "rc serve", ".status.readyReplicas") == "3")
    first = names(cluster, "pods", "rc=serve")[0]
    cluster.kubectl("label", "pod", first, "rc=other", "--overwrite")
    cluster.wait(lambda: field(cluster, f"pod {first}", ".metadata.ownerReferences") == "")
    cluster.wait(lambda: len(names(cluster, "pods", "rc=serve")) == 3)
    cluster.kubectl("delete", "rc", "serve", "--cascade=orphan", "--timeout=20s")
    left = names(cluster, "pods", "rc=serve")
    cluster.kubectl("apply", "-f", "-", stdin=rc("serve", 3))
    cluster.wait(lambda: field(cluster, "rc serve", ".status.replicas") == "3")
    assert names(cluster, "pods", "rc=serve") == left
    cluster.kubectl("delete", "rc", "serve", "--cascade=foreground", "--timeout=20s")
    assert names(cluster, "pods", "rc=serve") == []


def test_pods_that_own_each_other_in_a_ring_can_be_deleted(cluster: Cluster) -> None:
    ring = ("ring1", "ring2", "ring3")
    for name in ring:
        cluster.kubectl("run", name, "--image=nginx")
    for name, owner in zip(ring, (ring[2], *ring[:2]), strict=True):
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": owner,
            "uid": field(cluster, f"pod {owner}", ".metadata.uid"),
            "controller": True,
            "blockOwnerDeletion": True,
        }
        patch = json.dumps({"metadata": {"ownerReferences": [reference]}})
        cluster.kubectl("patch", "pod", name, "--type=merge", "-p", patch)
    cluster.kubectl("delete", "pod", "ring1", "--cascade=foreground", "--timeout=20s")
    cluster.wait(lambda: not set(ring) & set(names(cluster, "pods")))


def test_a_deleted_namespace_takes_everything_with_it(cluster: Cluster) -> None:
    cluster.kubectl("create", "namespace", "full")
    cluster.kubectl("-n", "full", "create", "deployment", "web", "--image=nginx", "--replicas=2")
    cluster.kubectl("-n", "full", "create", "service", "clusterip", "web", "--tcp=80")
    cluster.kubectl("delete", "namespace", "full", "--timeout=30s")
    cluster.kubectl("create", "namespace", "full")
    assert cluster.kubectl("-n", "full", "get", "pods,services,deployments", "-o", "name") == ""


def test_a_budget_stops_evictions_until_it_is_loosened(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "guarded", "--image=nginx", "--replicas=2")
    cluster.kubectl("create", "pdb", "guarded", "--selector=app=guarded", "--min-available=2")
    cluster.kubectl("rollout", "status", "deployment/guarded", "--timeout=30s")
    cluster.wait(lambda: field(cluster, "pdb guarded", ".status.currentHealthy") == "2")
    pod = names(cluster, "pods", "app=guarded")[0]
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})
    namespace = field(cluster, f"pod {pod}", ".metadata.namespace")
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    refusal = cluster.refused("create", "--raw", path, "-f", "-", stdin=eviction)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refusal
    cluster.kubectl("patch", "pdb", "guarded", "--type=merge", "-p", '{"spec":{"minAvailable":1}}')
    cluster.wait(lambda: field(cluster, "pdb guarded", ".status.disruptionsAllowed") == "1")
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=eviction)
    cluster.wait(lambda: pod not in names(cluster, "pods", "app=guarded"))


def test_a_more_important_pod_takes_the_place_of_another(cluster: Cluster) -> None:
    seats = "/status/{}/example.com~1seat"
    fake = [{"op": "add", "path": seats.format(of), "value": "1"} for of in ("capacity", "allocatable")]
    cluster.kubectl("patch", "node", "paper", "--subresource=status", "--type=json", "-p", json.dumps(fake))
    cluster.kubectl("create", "priorityclass", "vip", "--value=1000")
    for name, priority in (("guest", ""), ("vip", "vip")):
        seat = {"limits": {"example.com/seat": "1"}}
        container = {"name": "c", "image": "nginx", "resources": seat}
        spec = {"containers": [container], "priorityClassName": priority}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        cluster.wait(lambda name=name: field(cluster, f"pod {name}", ".status.phase") == "Running")  # type: ignore[misc]
    cluster.wait(lambda: "guest" not in names(cluster, "pods"))
    events = cluster.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
    assert "Preempted" in events.split()


def test_hand_written_endpoints_are_mirrored(cluster: Cluster) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "byhand"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "byhand"},
        "subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "http", "port": 9999}]}],
    }
    for one in (service, endpoints):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(one))
    selector = "kubernetes.io/service-name=byhand"
    cluster.wait(lambda: len(names(cluster, "endpointslices", selector)) == 1)
    path = "jsonpath={.items[0].endpoints[0].addresses}"
    assert cluster.kubectl("get", "endpointslices", "-l", selector, "-o", path) == '["10.1.2.3"]'
    cluster.kubectl("delete", "endpoints", "byhand")
    cluster.wait(lambda: names(cluster, "endpointslices", selector) == [])


def test_an_autoscaler_reads_usage_and_scales(cluster: Cluster) -> None:
    """Simulated pods use nothing, so that one is enough."""
    cluster.kubectl("create", "deployment", "idle", "--image=nginx", "--replicas=2")
    cluster.kubectl("set", "resources", "deployment/idle", "--requests=cpu=100m")
    cluster.kubectl("rollout", "status", "deployment/idle", "--timeout=30s")
    cluster.kubectl("autoscale", "deployment", "idle", "--min=1", "--max=5", "--cpu-percent=50")
    cluster.wait(lambda: field(cluster, "deployment idle", ".spec.replicas") == "1", seconds=40)
    active = field(cluster, "hpa idle", ".status.conditions[?(@.type=='ScalingActive')].reason")
    assert active == "ValidMetricFound"
