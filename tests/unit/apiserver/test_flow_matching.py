"""Under which flow schema requests fall, with those that every cluster has."""

from __future__ import annotations

import pytest

from minikube.api.flowcontrol_v1 import FlowSchema, PriorityLevelConfiguration
from minikube.apiserver.flow_matching import LEVEL_UID, SCHEMA_UID, FlowSchemas
from minikube.apiserver.request_info import request_info
from minikube.auth.base import ANONYMOUS, AUTHENTICATED, MASTERS, User
from minikube.controllers.flow_control import ensure_flow_control
from tests.fakes.cluster import Cluster

NODE = User("system:node:a", groups=("system:nodes", AUTHENTICATED))
CLUSTER_ACCOUNTS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED)
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/l"


@pytest.mark.parametrize(
    ("user", "method", "path", "schema", "level"),
    [
        (User("a", groups=(MASTERS, AUTHENTICATED)), "GET", "/api/v1/pods", "exempt", "exempt"),
        (ANONYMOUS, "GET", "/livez", "probes", "exempt"),
        (ANONYMOUS, "GET", "/livez/ping", "global-default", "global-default"),
        (User("a", groups=(AUTHENTICATED,)), "GET", "/api/v1/pods", "global-default", "global-default"),
        (NODE, "PATCH", "/api/v1/nodes/a/status", "system-node-high", "node-high"),
        (NODE, "PUT", "/apis/coordination.k8s.io/v1/namespaces/x/leases/a", "system-node-high", "node-high"),
        (NODE, "GET", "/api/v1/pods", "system-nodes", "system"),
        (User("system:kube-scheduler"), "GET", "/api/v1/nodes", "kube-scheduler", "workload-high"),
        (User("system:kube-scheduler"), "PUT", LEASES, "system-leader-election", "leader-election"),
        (User("system:kube-scheduler"), "DELETE", LEASES, "kube-scheduler", "workload-high"),
        (
            User("system:serviceaccount:kube-system:a", groups=CLUSTER_ACCOUNTS), "GET", "/api/v1/pods",
            "kube-system-service-accounts", "workload-high",
        ),
        (
            User("system:serviceaccount:x:a", groups=("system:serviceaccounts",)), "GET", "/api/v1/pods",
            "service-accounts", "workload-low",
        ),
    ],
)  # fmt: skip
async def test_requests_fall_under(user: User, method: str, path: str, schema: str, level: str) -> None:
    cluster = await Cluster.open()
    await ensure_flow_control(cluster.client)
    headers = FlowSchemas(cluster.informers).headers(user, request_info(method, path).action())
    found = await cluster.client.get(FlowSchema, schema)
    below = await cluster.client.get(PriorityLevelConfiguration, level)
    assert headers == {SCHEMA_UID: found.metadata.uid, LEVEL_UID: below.metadata.uid}


async def test_a_schema_without_its_level_takes_nothing_and_answers_follow_changes() -> None:
    cluster = await Cluster.open()
    await ensure_flow_control(cluster.client)
    schemas = FlowSchemas(cluster.informers)
    user, action = User("system:kube-scheduler", groups=(AUTHENTICATED,)), request_info("GET", "/version").action()
    before = schemas.headers(user, action)
    await cluster.client.delete(PriorityLevelConfiguration, "workload-high")
    after = schemas.headers(user, action)
    default = await cluster.client.get(FlowSchema, "global-default")
    assert before[SCHEMA_UID] != after[SCHEMA_UID] == default.metadata.uid


async def test_without_schemas_there_are_no_headers() -> None:
    cluster = await Cluster.open()
    assert FlowSchemas(cluster.informers).headers(NODE, request_info("GET", "/version").action()) == {}
