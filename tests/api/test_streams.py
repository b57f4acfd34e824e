"""Streams through the API server to the simulated node: what is decided before any byte flows."""

import pytest

from tests.api.conftest import Cluster

POD = """
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers: [{name: a, image: i}, {name: b, image: i}]
"""


def running(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=POD)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/two", "--timeout=10s")


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_a_command_ends_with_success(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, websockets: str) -> None:
    running(cluster)
    monkeypatch.setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    cluster.kubectl("exec", "two", "-c", "b", "--", "true")


def test_logs_of_several_containers_need_a_name(cluster: Cluster) -> None:
    running(cluster)
    path = cluster.kubectl("get", "pod", "two", "-o", "jsonpath=/api/v1/namespaces/{.metadata.namespace}/pods/two")
    told = cluster.refused("get", "--raw", f"{path}/log")
    assert "a container name must be specified for pod two, choose one of: [a b]" in told
    assert "container c is not valid for pod two" in cluster.refused("get", "--raw", f"{path}/log?container=c")
    assert cluster.kubectl("get", "--raw", f"{path}/log?container=a") == ""
    told = cluster.refused("get", "--raw", f"{path}/log?container=a&tailLines=-1")
    assert "must be greater than or equal to 0" in told
    assert "Upgrade request required" in cluster.refused("get", "--raw", f"{path}/exec?container=a&command=true")


def test_a_pod_without_a_node_has_no_log_and_takes_no_command(cluster: Cluster) -> None:
    cluster.kubectl("run", "p", "--image=i", "--overrides", '{"spec":{"nodeSelector":{"no":"where"}}}')
    assert cluster.kubectl("logs", "p") == ""
    assert "pod p does not have a host assigned" in cluster.refused("exec", "p", "--", "true")


def test_the_kubelet_is_reached_through_its_node(cluster: Cluster) -> None:
    assert cluster.kubectl("get", "--raw", "/api/v1/nodes/paper/proxy/healthz") == "ok"
    assert '"nodeName":"paper"' in cluster.kubectl("get", "--raw", "/api/v1/nodes/paper/proxy/stats/summary")
    assert 'nodes "x" not found' in cluster.refused("get", "--raw", "/api/v1/nodes/x/proxy/healthz")


def test_a_service_without_endpoints_cannot_be_proxied_to(cluster: Cluster) -> None:
    cluster.kubectl("create", "service", "clusterip", "s", "--tcp=80:80")
    path = cluster.kubectl(
        "get", "service", "s", "-o", "jsonpath=/api/v1/namespaces/{.metadata.namespace}/services/s"
    )
    assert 'no endpoints available for service "s:80"' in cluster.refused("get", "--raw", f"{path}:80/proxy/")
    assert 'no service port 81 found for service "s"' in cluster.refused("get", "--raw", f"{path}:81/proxy/")
