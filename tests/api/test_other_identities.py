"""Who comes with somebody else's credentials: a static token, an OpenID issuer's, a front proxy's word."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from minikube.pki.signing_keys import jwks, verification_key
from tests.api.conftest import Cluster

REVIEW = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'


class Issuer:
    """An OpenID issuer's web site on loopback."""

    def __init__(self, directory: Path) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.public = verification_key(self.key.public_key())
        self.ca = ensure_ca(directory, "web-ca")
        pair = Pair(directory / "web.crt", directory / "web.key")
        ensure_leaf(pair, self.ca, common_name="issuer", names=["127.0.0.1"], server=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        issuer = self

        class Site(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents: dict[str, Any] = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"},
                    "/keys": jwks([issuer.public]),
                }
                self.send_response(200 if self.path in documents else 404)
                self.end_headers()
                self.wfile.write(json.dumps(documents.get(self.path)).encode())

            def log_message(self, *_: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, **claims: Any) -> str:
        said = {"iss": self.url, "aud": "cluster", "exp": int(time.time()) + 60, **claims}
        return jwt.encode(said, self.key, "RS256", headers={"kid": self.public.id})


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    made = Issuer(tmp_path)
    yield made
    made.server.shutdown()


@pytest.fixture
def open_house(tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A server that believes all of them."""
    (tmp_path / "tokens.csv").write_text('secret,carol,7,"team"\n')
    settings = {
        "TOKEN_AUTH_FILE": tmp_path / "tokens.csv",
        "OIDC_ISSUER_URL": issuer.url,
        "OIDC_CLIENT_ID": "cluster",
        "OIDC_CA_FILE": issuer.ca.certificate,
        "OIDC_GROUPS_CLAIM": "groups",
        "REQUESTHEADER_CLIENT_CA_FILE": ensure_ca(tmp_path, "proxy-ca").certificate,
        "REQUESTHEADER_ALLOWED_NAMES": "front",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"MINIKUBE_{name}", str(value))
    cluster = Cluster(tmp_path)
    cluster.start()
    yield cluster
    cluster.stop()


def who(cluster: Cluster, headers: dict[str, str], pair: Pair | None = None) -> tuple[int, dict[str, Any]]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=20)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    connection.request("POST", path, REVIEW, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, (body.get("status") or {}).get("userInfo", {}) if answer.status == 201 else {}


def test_each_is_who_he_says(open_house: Cluster, issuer: Issuer, tmp_path: Path) -> None:
    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    status, carol = who(open_house, bearer("secret"))
    assert (status, carol["username"], carol["uid"]) == (201, "carol", "7")
    status, dave = who(open_house, bearer(issuer.token(sub="dave", groups=["dev"])))
    assert (status, dave["username"]) == (201, f"{issuer.url}#dave")
    assert dave["groups"] == ["dev", "system:authenticated"]
    assert who(open_house, bearer(issuer.token(sub="dave", aud="another")))[0] == 401

    remote = {"X-Remote-User": "erin", "X-Remote-Group": "ops", "X-Remote-Extra-Scopes": "read"}
    proxies = Pair(tmp_path / "proxy-ca.crt", tmp_path / "proxy-ca.key")

    def proxy(name: str) -> Pair:
        pair = Pair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        return ensure_leaf(pair, proxies, common_name=name, client=True)

    status, erin = who(open_house, remote, proxy("front"))
    assert (status, erin["username"], erin["extra"]) == (201, "erin", {"scopes": ["read"]})
    assert who(open_house, remote, proxy("back"))[0] == 401
    assert who(open_house, remote)[0] == 403
    published = open_house.kubectl(
        "get", "cm", "-n", "kube-system", "extension-apiserver-authentication", "-o", "json"
    )
    assert json.loads(published)["data"]["requestheader-allowed-names"] == '["system:auth-proxy","front"]'
