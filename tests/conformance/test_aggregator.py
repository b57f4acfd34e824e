"""api-machinery/aggregator: an API that a pod serves, as part of the cluster's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition
from tests.conformance.test_discovery import AGGREGATED, aggregated
from tests.conformance.tls_pods import Served, serving

pytestmark = [pytest.mark.conformance, pytest.mark.serial]  # one that is down holds up every namespace that ends
KIND = "apiregistration.k8s.io/v1/APIService"


def binding(space: Space, kind: str, name: str, role: str, namespace: str = "") -> Obj:
    """Of a role to the default service account of the space."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": space.name}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role" if namespace else "ClusterRole",
            "name": role,
        },
        "subjects": [subject],
    }


@pytest.fixture
def sample(space: Space) -> Iterator[Served]:
    """The server, which may read whom to believe and ask who may what."""
    root = "/apis/rbac.authorization.k8s.io/v1"
    reader = binding(space, "RoleBinding", space.name, "extension-apiserver-authentication-reader", "kube-system")
    space.http.post(f"{root}/namespaces/kube-system/rolebindings", reader).ok(201)
    delegator = binding(space, "ClusterRoleBinding", space.name, "system:auth-delegator")
    space.http.post(f"{root}/clusterrolebindings", delegator).ok(201)
    with serving(space, "sample_apiserver", "sample-api") as found:
        yield found
    space.http.delete(f"{root}/namespaces/kube-system/rolebindings/{space.name}").ok()
    space.http.delete(f"{root}/clusterrolebindings/{space.name}").ok()


@contextmanager
def registered(sample: Served, **more: Obj) -> Iterator[str]:
    """The group `<namespace>.wardle.example.com`, until the end of the block."""
    space = sample.space
    group = f"{space.name}.wardle.example.com"
    spec: Obj = {
        "service": {"namespace": space.name, "name": sample.name, "port": 443},
        "group": group,
        "version": "v1alpha1",
        "caBundle": sample.bundle,
        "groupPriorityMinimum": 2000,
        "versionPriority": 200,
        **more,
    }
    name = f"v1alpha1.{group}"
    space.create(
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec}
    )
    try:
        yield group
    finally:
        space.ask("DELETE", KIND, name)


def available(space: Space, group: str) -> Obj:
    """The condition, as soon as there is one."""
    found = space.get(KIND, f"v1alpha1.{group}").get("status", {}).get("conditions", ())
    return next((each for each in found if each["type"] == "Available"), {"status": "", "reason": ""})


def is_available(space: Space, group: str) -> None:
    space.wait(lambda: available(space, group)["status"] == "True")


@row("Aggregator Should be able to support the 1.17 Sample API Server using the current Aggregator")
def test_an_api_of_a_pod_is_used_like_any(sample: Served):
    space = sample.space
    with registered(sample) as group:
        is_available(space, group)
        assert available(space, group)["reason"] == "Passed"
        flunder = {"apiVersion": f"{group}/v1alpha1", "kind": "Flunder", "metadata": {"name": "rest-flunder"}}
        flunders, kind = f"/apis/{group}/v1alpha1/namespaces/{space.name}/flunders", f"{group}/v1alpha1/Flunder"
        assert space.http.get(flunders).ok()["items"] == []
        events = space.watch(kind)
        space.http.post(flunders, flunder).ok(201)
        assert next(events)["object"]["metadata"]["name"] == "rest-flunder"
        found = space.get(kind, "rest-flunder")
        assert found["asked"] == {
            "by": "system:admin",
            "groups": ["system:masters", "system:authenticated"],
            "authorization": "",
        }
        assert space.patch(kind, "rest-flunder", {"spec": {"a": "b"}})["spec"] == {"a": "b"}
        assert "rest-flunder" in space.kubectl("get", f"flunders.{group}", "-o", "name")
        space.delete(kind, "rest-flunder")
        assert space.http.get(flunders).ok()["items"] == []
        space.create({**flunder, "metadata": {"name": "dynamic-flunder"}})
        space.http.delete(flunders).ok()
        assert space.gone(kind, "dynamic-flunder")
        _discovered(space, group)
        _registration(space, group)
    assert space.http.get(flunders).code == 404


def _discovered(space: Space, group: str) -> None:
    assert group in [each["name"] for each in space.http.get("/apis").ok()["groups"]]
    assert space.http.get(f"/apis/{group}").ok()["preferredVersion"]["version"] == "v1alpha1"
    (flunders, status) = space.http.get(f"/apis/{group}/v1alpha1").ok()["resources"]
    assert (flunders["name"], status["name"]) == ("flunders", "flunders/status")
    assert f"{group}/v1alpha1 flunders" in aggregated(space, "/apis", AGGREGATED)


def _registration(space: Space, group: str) -> None:
    """The APIService as an object: status, patches, updates, deletion as a collection."""
    name, label = f"v1alpha1.{group}", f"e2e-label={space.name}"
    assert condition(space.get(KIND, name, sub="status"), "Available") == "True"
    assert space.patch(KIND, name, {"spec": {"versionPriority": 400}})["spec"]["versionPriority"] == 400
    assert name in [each["metadata"]["name"] for each in space.list(KIND)]

    def put_label() -> Obj:
        present = space.get(KIND, name)
        present["metadata"]["labels"] = {"e2e-label": space.name}
        return space.update(present)

    assert space.wait(put_label)["metadata"]["labels"] == {"e2e-label": space.name}
    mine = {"type": "StatusUpdated", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def put_status() -> Obj:
        present = space.get(KIND, name, sub="status")
        present["status"]["conditions"].append(mine)
        return space.update(present, sub="status")

    updated = space.wait(put_status)["status"]["conditions"]
    assert [each["type"] for each in updated] == ["Available", "StatusUpdated"]
    patch = {"status": {"conditions": [{**mine, "type": "StatusPatched"}]}}
    patched = space.patch(KIND, name, patch, sub="status")["status"]["conditions"]
    assert [each["type"] for each in patched] == ["StatusPatched"]
    space.http.delete(space.path(KIND, labelSelector=label)).ok()
    space.wait(lambda: space.gone(KIND, name))


def test_who_asks_is_told_by_the_proxy_alone(sample: Served):
    space = sample.space
    with registered(sample) as group:
        is_available(space, group)
        flunders = f"/apis/{group}/v1alpha1/namespaces/{space.name}/flunders"
        space.http.post(flunders, {"metadata": {"name": "one"}}).ok(201)
        lie = {"X-Remote-User": "somebody", "X-Remote-Group": "system:masters", "Impersonate-User": "jane"}
        assert space.http.get(f"{flunders}/one", headers=lie).code == 403
        space.kubectl(
            "create", "clusterrole", f"{space.name}-flunders", "--verb=get", f"--resource=flunders.{group}"
        )
        space.kubectl("create", "rolebinding", "jane", f"--clusterrole={space.name}-flunders", "--user=jane")
        found = space.http.get(f"{flunders}/one", headers=lie).ok()
        assert found["asked"]["by"] == "jane"
        assert found["asked"]["groups"] == ["system:authenticated"]
        space.kubectl("delete", "clusterrole", f"{space.name}-flunders")


def test_an_api_whose_service_is_not_there_is_unavailable(sample: Served):
    space = sample.space
    missing: Obj = {"namespace": space.name, "name": "nobody", "port": 443}
    with registered(sample, service=missing) as group:
        space.wait(lambda: available(space, group)["reason"] == "ServiceNotFound")
        assert available(space, group)["message"] == f'service/nobody in "{space.name}" is not present'
        assert space.http.get(f"/apis/{group}/v1alpha1").code == 503
        assert group in [each["name"] for each in space.http.get("/apis").ok()["groups"]]
    with registered(sample, service={**missing, "name": sample.name, "port": 444}) as group:
        space.wait(lambda: available(space, group)["reason"] == "ServicePortError")
    with registered(sample) as group:
        is_available(space, group)
        space.patch("apps/v1/Deployment", sample.name, {"spec": {"replicas": 0}})
        space.wait(lambda: available(space, group)["status"] == "False")
        space.wait(lambda: available(space, group)["reason"] == "MissingEndpoints")
        answer = space.http.get(f"/apis/{group}/v1alpha1/namespaces/{space.name}/flunders")
        assert (answer.code, answer.body) == (503, b"service unavailable")
        assert f"{group}/v1alpha1 flunders" in aggregated(space, "/apis", AGGREGATED)
        space.patch("apps/v1/Deployment", sample.name, {"spec": {"replicas": 1}})
        is_available(space, group)


def test_a_certificate_of_somebody_else_is_not_trusted(sample: Served):
    space = sample.space
    with registered(sample) as group:
        is_available(space, group)
        space.patch(KIND, f"v1alpha1.{group}", {"spec": {"caBundle": None}})
        answer = space.http.get(f"/apis/{group}/v1alpha1")
        assert answer.code == 503
        assert "verify" in answer.json["message"]
        space.patch(KIND, f"v1alpha1.{group}", {"spec": {"insecureSkipTLSVerify": True}})
        space.http.get(f"/apis/{group}/v1alpha1").ok()


def test_connections_are_upgraded_and_documents_are_listed(sample: Served):
    space = sample.space
    with registered(sample) as group:
        is_available(space, group)
        url = urlsplit(space.http.server)
        assert url.hostname
        assert url.port
        with (
            socket.create_connection((url.hostname, url.port), timeout=10) as plain,
            space.http.context.wrap_socket(plain, server_hostname=url.hostname) as stream,
            stream.makefile("rb") as answers,
        ):
            head = f"GET /apis/{group}/v1alpha1/upgraded HTTP/1.1\r\nHost: {url.netloc}\r\n"
            stream.sendall(f"{head}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
            assert answers.readline().startswith(b"HTTP/1.1 101")
            while answers.readline().strip():
                pass
            stream.sendall(b"hello\n")
            assert answers.readline() == b"hello\n"
        root = f"apis/{group}/v1alpha1"
        space.wait(lambda: root in space.http.get("/openapi/v3").ok()["paths"])
        link = space.http.get("/openapi/v3").ok()["paths"][root]["serverRelativeURL"]
        assert space.http.get(link).ok()["info"]["title"] == "flunders"
