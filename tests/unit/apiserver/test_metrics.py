from typing import Any

from minikube.api.core_v1 import Pod
from minikube.api.meta import from_dict
from minikube.apiserver.metrics import node_metrics, pod_metrics, usage

STATS = {"cpu": {"time": "T", "usageNanoCores": 5}, "memory": {"workingSetBytes": 4096}}
NODE = {"nodeName": "n", "rateWindowSeconds": 0.5, **STATS}


def summary(*pods: dict[str, Any]) -> dict[str, Any]:
    return {"node": NODE, "pods": list(pods)}


def pod(uid: str) -> Pod:
    return from_dict(Pod, {"metadata": {"name": "p", "namespace": "d", "uid": uid, "labels": {"a": "b"}}})


def test_usage_is_in_nanocores_and_kibibytes() -> None:
    assert usage(STATS) == {"cpu": "5n", "memory": "4Ki"}


def test_a_node_says_over_what_time_it_was_measured() -> None:
    found = node_metrics(summary(), {"n": {"x": "y"}})
    assert (found["metadata"]["name"], found["metadata"]["labels"], found["window"]) == ("n", {"x": "y"}, "0.500s")


def test_only_pods_that_the_api_knows_and_that_run_are_shown() -> None:
    stats = {"podRef": {"uid": "1"}, "containers": [{"name": "c", **STATS}], **STATS}
    idle, unknown = {**stats, "podRef": {"uid": "2"}, "containers": []}, {**stats, "podRef": {"uid": "3"}}
    [found] = pod_metrics([pod("1"), pod("2")], [summary(stats, idle, unknown)])
    assert found["metadata"] == {"name": "p", "namespace": "d", "creationTimestamp": "T", "labels": {"a": "b"}}
    assert found["containers"] == [{"name": "c", "usage": {"cpu": "5n", "memory": "4Ki"}}]
