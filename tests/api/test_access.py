"""Who may do what, asked of a real server with the real kubectl."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from tests.api.conftest import Cluster


def status_of(cluster: Cluster, path: str, token: str = "") -> tuple[int, str]:
    """The answer's code and message, asked without a client certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"https://127.0.0.1:{cluster.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, context=context) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()).get("message", "")


def test_anonymous_sees_health_and_version_and_nothing_else(cluster: Cluster) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert status_of(cluster, path)[0] == 200
    refused = 'forbidden: User "system:anonymous" cannot get path "/apis"'
    assert status_of(cluster, "/apis") == (403, refused)
    assert status_of(cluster, "/api/v1/nodes")[0] == 403


def test_a_bad_token_is_nobody_rather_than_anonymous(cluster: Cluster) -> None:
    assert status_of(cluster, "/healthz", "nonsense") == (401, "Unauthorized")


def test_long_tokens_are_read_and_longer_ones_cost_little(cluster: Cluster) -> None:
    token = cluster.kubectl("create", "token", "default", *(f"--audience={n:0900}" for n in range(40))).strip()
    assert len(token) > 40_000
    assert status_of(cluster, "/version", token) == (401, "Unauthorized")
    with socket.create_connection(("127.0.0.1", cluster.port)) as plain:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as connection:
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + bytes(range(97, 123)) * 3000)
            connection.settimeout(10)
            assert connection.recv(100).startswith(b"HTTP/1.0 400 ")
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_a_certificate_that_has_ended_is_nobodys(cluster: Cluster, tmp_path: Path) -> None:
    tls = cluster.root / "data" / "server" / "tls"
    ca = Pair(tls / "client-ca.crt", tls / "client-ca.key")
    brief = Pair(tmp_path / "brief.crt", tmp_path / "brief.key")
    ensure_leaf(brief, ca, common_name="bob", client=True, lifetime=timedelta(seconds=1))
    how = ("--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{cluster.port}", "--insecure-skip-tls-verify")
    how += (f"--client-certificate={brief.certificate}", f"--client-key={brief.key}")
    cluster.wait(lambda: "must be logged in" in cluster.refused(*how, "get", "pods"))


def test_a_certificate_of_another_ca_or_for_servers_is_nobodys(cluster: Cluster, tmp_path: Path) -> None:
    tls = cluster.root / "data" / "server" / "tls"
    ours = Pair(tls / "client-ca.crt", tls / "client-ca.key")
    pair = Pair(tmp_path / "bob.crt", tmp_path / "bob.key")
    how = ("--kubeconfig=/dev/null", f"--server=https://127.0.0.1:{cluster.port}", "--insecure-skip-tls-verify")
    how += (f"--client-certificate={pair.certificate}", f"--client-key={pair.key}")
    token = cluster.kubectl("create", "token", "default").strip()
    for ca, purpose in ((ensure_ca(tmp_path, "client-ca"), "client"), (ours, "server")):
        ensure_leaf(pair, ca, common_name="bob", **{purpose: True})
        assert "must be logged in" in cluster.refused(*how, "get", "pods")
        assert "must be logged in" in cluster.refused(*how, "get", "--raw", "/healthz")
        assert "system:serviceaccount:" in cluster.run("--token", token, *how, "auth", "whoami").stdout
    pair.certificate.unlink()
    ensure_leaf(pair, ours, common_name="bob", client=True)
    assert 'User "bob" cannot list resource "pods"' in cluster.refused(*how, "get", "pods")


def test_kubectl_acts_as_others_with_all_their_parts(cluster: Cluster) -> None:
    who = cluster.kubectl(
        "auth", "whoami", "--as=bob", "--as-group=team", "--as-uid=7", "--as-user-extra=scopes=a", "-o", "json"
    )
    assert json.loads(who)["status"]["userInfo"] == {
        "username": "bob", "uid": "7", "groups": ["team", "system:authenticated"], "extra": {"scopes": ["a"]},
    }  # fmt: skip
    refusal = cluster.refused("get", "pods", "--as=bob")
    assert 'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace' in refusal


def test_an_admin_of_a_namespace_grants_only_what_he_has(cluster: Cluster) -> None:
    cluster.kubectl("create", "rolebinding", "boss", "--clusterrole=admin", "--user=boss")
    assert cluster.kubectl("auth", "can-i", "create", "deployments", "--as=boss").strip() == "yes"
    cluster.kubectl("create", "role", "reader", "--verb=get", "--resource=pods", "--as=boss")
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}' in cluster.refused(
        "create", "role", "more", "--verb=get", "--resource=nodes", "--as=boss"
    )
    assert "attempting to grant RBAC permissions not currently held" in cluster.refused(
        "create", "rolebinding", "root", "--clusterrole=cluster-admin", "--user=boss", "--as=boss"
    )


def test_the_aggregated_roles_are_filled(cluster: Cluster) -> None:
    for role in ("admin", "edit", "view"):
        cluster.wait(
            lambda role=role: json.loads(cluster.kubectl("get", "clusterrole", role, "-o", "json"))["rules"]
        )
