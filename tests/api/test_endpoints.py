"""Every endpoint, asked without credentials, as a service account without rights and as a node: each may do what
its table says, and is refused everything else. Requests are about objects that do not exist, so what is
allowed ends in 404 or 400 and changes nothing.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.api.conftest import Cluster

NAME, NAMESPACE = "nobody-has-this-name", "kube-system"
METHODS: Mapping[str, tuple[str, bool]] = {
    "get": ("GET", True), "list": ("GET", False), "watch": ("GET", False), "create": ("POST", False),
    "update": ("PUT", True), "patch": ("PATCH", True), "delete": ("DELETE", True),
    "deletecollection": ("DELETE", False),
}  # fmt: skip
"""Verb -> method and whether the path names an object."""
PATHS = (
    "/", "/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz",
    "/healthz/ping", "/livez", "/livez/ping", "/metrics", "/minikube/v1/secrets-encryption", "/openapi/v2",
    "/openapi/v3", "/openid/v1/jwks", "/readyz", "/readyz/ping", "/version", "/debug/pprof/", "/nowhere",
    f"/minikube/v1/nodes/{NAME}/connection",
)  # fmt: skip
"""All that are not about resources, and some that are not there; groups and versions are like apps and v1."""

PUBLIC = {"get /healthz", "get /livez", "get /readyz", "get /version"}
AUTHENTICATED = PUBLIC | {
    "get /api", "get /api/v1", "get /apis", "get /apis/apps", "get /apis/apps/v1", "get /openapi/v2",
    "get /openapi/v3",
    "create selfsubjectreviews.authentication.k8s.io", "create selfsubjectaccessreviews.authorization.k8s.io",
    "create selfsubjectrulesreviews.authorization.k8s.io",
}  # fmt: skip
ACCOUNT = AUTHENTICATED | {"get /.well-known/openid-configuration", "get /openid/v1/jwks"}
NODE_RULES = {
    "certificatesigningrequests.certificates.k8s.io": "create get list watch",
    "clustertrustbundles.certificates.k8s.io": "get list watch",
    "csidrivers.storage.k8s.io": "get list watch",
    "endpoints": "get list watch",
    "endpointslices.discovery.k8s.io": "list watch",
    "events": "create patch update",
    "events.events.k8s.io": "create patch update",
    "localsubjectaccessreviews.authorization.k8s.io": "create",
    "nodes": "get list patch update watch",
    "nodes/status": "patch update",
    "persistentvolumes": "get list patch watch",
    "podcertificaterequests.certificates.k8s.io": "get list watch",
    "pods": "delete",
    "pods/eviction": "create",
    "pods/status": "patch update",
    "runtimeclasses.node.k8s.io": "get list watch",
    "servicecidrs.networking.k8s.io": "list watch",
    "services": "get list watch",
    "subjectaccessreviews.authorization.k8s.io": "create",
    "tokenreviews.authentication.k8s.io": "create",
}
"""What a node may do with objects that belong to no pod of its own: resource -> verbs."""
NODE = AUTHENTICATED | {f"{verb} {resource}" for resource, verbs in NODE_RULES.items() for verb in verbs.split()}


class Identity:
    """One connection, kept."""

    def __init__(self, cluster: Cluster, token: str = "", pair: tuple[Path, Path] | None = None) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair is not None:
            context.load_cert_chain(*pair)
        self._connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def status(self, method: str, path: str) -> int:
        body, headers = None, dict(self._headers)
        if method in ("POST", "PUT", "PATCH"):
            body = b"{}"
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        if "watch=true" in path and answer.status == 200:
            self._connection.close()
        else:
            answer.read()
        return answer.status


def resource_requests(cluster: Cluster) -> Iterator[tuple[str, str, str]]:
    """(what is asked, method, path) for every verb of every resource and subresource that discovery tells of."""
    groups = json.loads(cluster.kubectl("get", "--raw", "/apis"))["groups"]
    versions = ["/api/v1", *(f"/apis/{v['groupVersion']}" for group in groups for v in group["versions"])]
    for version in versions:
        group = version.split("/")[2] if version.startswith("/apis/") else ""
        for resource in json.loads(cluster.kubectl("get", "--raw", version))["resources"]:
            plural, _, subresource = resource["name"].partition("/")
            scope = f"/namespaces/{NAMESPACE}" if resource["namespaced"] else ""
            for verb in resource["verbs"]:
                method, named = METHODS[verb]
                path = f"{version}{scope}/{plural}" + (f"/{NAME}" if named or subresource else "")
                path += f"/{subresource}" if subresource else ""
                path += "?watch=true" if verb == "watch" else ""
                yield f"{verb} {resource['name']}" + (f".{group}" if group else ""), method, path


def allowed(identity: Identity, requests: Sequence[tuple[str, str, str]]) -> set[str]:
    found, faults = set(), []
    for what, method, path in requests:
        status = identity.status(method, path)
        assert status != 401, what
        if status >= 500:
            faults.append(f"{what}: {status}")
        if status != 403:
            found.add(what)
    assert not faults
    return found


@pytest.fixture(scope="module")
def requests(shared: Cluster) -> Sequence[tuple[str, str, str]]:
    found = [*resource_requests(shared), *((f"get {path}", "GET", path) for path in PATHS)]
    assert len(found) > 500
    return found


def test_every_route_is_in_the_table(shared: Cluster) -> None:
    served = set(json.loads(shared.kubectl("get", "--raw", "/"))["paths"])
    groups = {path for path in served if path.startswith(("/api/", "/apis/"))}
    assert served - groups - set(PATHS) == set()
    assert {"/apis/apps", "/apis/apps/v1", "/api/v1"} <= groups


def test_anonymous(shared: Cluster, requests: Sequence[tuple[str, str, str]]) -> None:
    assert allowed(Identity(shared), requests) == PUBLIC


def test_a_service_account_without_rights(shared: Cluster, requests: Sequence[tuple[str, str, str]]) -> None:
    shared.kubectl("create", "serviceaccount", "nobody", "-n", "default")
    token = shared.kubectl("create", "token", "nobody", "-n", "default").strip()
    assert allowed(Identity(shared, token), requests) == ACCOUNT


def test_a_node(shared: Cluster, requests: Sequence[tuple[str, str, str]]) -> None:
    agent = shared.root / "data" / "agent" / "tls"
    pair = (agent / "client-kubelet.crt", agent / "client-kubelet.key")
    assert allowed(Identity(shared, pair=pair), requests) == NODE


def test_an_empty_body_is_the_clients_fault(shared: Cluster, requests: Sequence[tuple[str, str, str]]) -> None:
    """Whatever the administrator asks: `allowed` fails for answers that blame the server."""
    tls = shared.root / "data" / "server" / "tls"
    pair = (tls / "client-admin.crt", tls / "client-admin.key")
    harmless = [one for one in requests if not one[0].startswith("deletecollection ")]
    refused = {what for what, _, _ in harmless} - allowed(Identity(shared, pair=pair), harmless)
    assert refused == {f"get /minikube/v1/nodes/{NAME}/connection"}, "only a node parks, for itself"
