"""Service account tokens against a real server."""

from __future__ import annotations

import base64
import json

import jwt

from tests.api.conftest import Cluster
from tests.api.test_access import status_of
from tests.api.test_encryption import minikube

STRANGER = ("--kubeconfig=/dev/null", "--insecure-skip-tls-verify")
TOKEN_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}},
    "type": "kubernetes.io/service-account-token",
}
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}


def review(cluster: Cluster, **spec: object) -> dict[str, object]:
    body = json.dumps({**REVIEW, "spec": spec})
    answered = cluster.kubectl("create", "--validate=false", "-o", "json", "-f", "-", stdin=body)
    return dict(json.loads(answered)["status"])


def test_kubectl_creates_tokens_that_the_published_keys_verify(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "robot")
    token = cluster.kubectl("create", "token", "robot", "--audience=vault", "--duration=10m").strip()
    configuration = json.loads(cluster.kubectl("get", "--raw", "/.well-known/openid-configuration"))
    keys = jwt.PyJWKSet.from_dict(json.loads(cluster.kubectl("get", "--raw", "/openid/v1/jwks")))
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=configuration["id_token_signing_alg_values_supported"],
        audience="vault",
        issuer=configuration["issuer"],
    )
    assert claims["exp"] - claims["iat"] == 600
    refusal = cluster.refused("create", "token", "robot", "--duration=1m")
    assert "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes" in refusal


def test_the_signing_key_is_rotated_and_old_ones_forgotten_while_the_server_runs(own: Cluster) -> None:
    own.kubectl("create", "serviceaccount", "robot", "-n", "default")

    def made() -> str:
        return own.kubectl("create", "token", "robot", "-n", "default").strip()

    def good(token: str) -> bool:
        return status_of(own, "/openid/v1/jwks", token)[0] == 200

    old = made()
    minikube(own, "service-account-key", "rotate")
    new = made()
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    assert good(old)
    assert good(new)
    assert len(json.loads(own.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]) == 2
    minikube(own, "service-account-key", "forget")
    assert good(new)
    assert not good(old)


def test_a_token_review_knows_audiences(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "robot")
    token = cluster.kubectl("create", "token", "robot", "--audience=vault").strip()
    found = review(cluster, token=token, audiences=["vault", "other"])
    assert found["authenticated"] is True
    assert found["audiences"] == ["vault"]
    assert "authenticated" not in review(cluster, token=token)
    assert "invalid bearer token" in str(review(cluster, token="nonsense")["error"])
    assert status_of(cluster, "/version", token) == (401, "Unauthorized")


def test_a_token_reaches_what_every_account_may(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "robot")
    token = cluster.kubectl("create", "token", "robot").strip()
    assert status_of(cluster, "/openid/v1/jwks", token)[0] == 200
    assert status_of(cluster, "/api/v1/nodes", token)[0] == 403


def test_a_token_secret_is_filled_and_goes_with_its_account(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "robot")
    manifest = """
        {apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token,
         metadata: {name: old, annotations: {kubernetes.io/service-account.name: robot}}}"""
    cluster.kubectl("create", "-f", "-", stdin=manifest)

    def token() -> str:
        return cluster.kubectl("get", "secret", "old", "-o", "jsonpath={.data.token}")

    cluster.wait(lambda: bool(token()))
    assert status_of(cluster, "/openid/v1/jwks", base64.b64decode(token()).decode())[0] == 200
    cluster.kubectl("delete", "serviceaccount", "robot")
    cluster.wait(lambda: cluster.run("get", "secret", "old").returncode != 0)


def test_a_secret_that_an_account_lists_warns_whoever_uses_its_token(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "robot")
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(TOKEN_SECRET))
    cluster.kubectl("patch", "serviceaccount", "robot", "-p", '{"secrets":[{"name":"robot-token"}]}')
    path = "jsonpath={.data.token}"
    cluster.wait(lambda: bool(cluster.kubectl("get", "secret", "robot-token", "-o", path)))
    token = base64.b64decode(cluster.kubectl("get", "secret", "robot-token", "-o", path)).decode()
    done = cluster.run("--token", token, f"--server=https://127.0.0.1:{cluster.port}", *STRANGER, "auth", "whoami")
    assert "system:serviceaccount:" in done.stdout
    assert "Warning: Use tokens from the TokenRequest API" in done.stderr
    labels = json.loads(cluster.kubectl("get", "secret", "robot-token", "-o", "json"))["metadata"]["labels"]
    assert labels["kubernetes.io/legacy-token-last-used"].startswith("20")
