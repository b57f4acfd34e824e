"""Certificates by kubectl: asked for, approved, denied, used."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from minikube.pki.requests import make_request
from tests.api.conftest import KUBECTL, Cluster

KEY = ec.generate_private_key(ec.SECP256R1())


def manifest(name: str, common_name: str = "jane", groups: tuple[str, ...] = (), **spec: Any) -> str:
    pem = make_request(KEY, common_name=common_name, groups=groups)
    wanted = {
        "request": base64.b64encode(pem).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        **spec,
    }
    return json.dumps(
        {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": wanted,
        }
    )


@pytest.fixture
def name(cluster: Cluster) -> str:
    return f"csr-{time.time_ns()}"


def shown(cluster: Cluster, name: str, path: str) -> str:
    return cluster.kubectl("get", "csr", name, "-o", f"jsonpath={{{path}}}")


def test_an_approved_request_becomes_a_certificate_that_logs_in(
    cluster: Cluster, name: str, tmp_path: Path
) -> None:
    cluster.kubectl("create", "-f", "-", stdin=manifest(name, expirationSeconds=3600))
    assert cluster.kubectl("get", "csr", name, "--no-headers").split()[2:] == [
        "kubernetes.io/kube-apiserver-client", "system:admin", "60m", "Pending",
    ]  # fmt: skip
    cluster.kubectl("certificate", "approve", name)
    cluster.wait(lambda: bool(shown(cluster, name, ".status.certificate")))
    assert cluster.kubectl("get", "csr", name, "--no-headers").split()[-1] == "Approved,Issued"
    certificate, key = tmp_path / "c.crt", tmp_path / "c.key"
    certificate.write_bytes(base64.b64decode(shown(cluster, name, ".status.certificate")))
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key.write_bytes(KEY.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    who = subprocess.run(
        [
            str(KUBECTL), f"--server=https://127.0.0.1:{cluster.port}", "--kubeconfig=/dev/null",
            f"--certificate-authority={cluster.root / 'data/server/tls/server-ca.crt'}",
            f"--client-certificate={certificate}", f"--client-key={key}",
            "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )  # fmt: skip
    assert (who.stdout, who.stderr) == ("jane", "")


def test_a_denied_request_stays_without_certificate(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "-f", "-", stdin=manifest(name))
    cluster.kubectl("certificate", "deny", name)
    assert cluster.kubectl("get", "csr", name, "--no-headers").split()[-1] == "Denied"
    assert "is already Denied" in cluster.refused("certificate", "approve", name)
    assert shown(cluster, name, ".status.certificate") == ""


def test_what_the_signer_does_not_sign_fails(cluster: Cluster, name: str) -> None:
    cluster.kubectl("create", "-f", "-", stdin=manifest(name, usages=["server auth"]))
    cluster.kubectl("certificate", "approve", name)
    cluster.wait(lambda: "Failed" in shown(cluster, name, ".status.conditions[*].type"))
    assert shown(cluster, name, '.status.conditions[?(@.type=="Failed")].message') == (
        "invalid usage for client certificate: server auth"
    )


def test_who_asks_is_written_down_and_nothing_of_it_can_change(cluster: Cluster, name: str) -> None:
    asked = json.loads(manifest(name))
    asked["spec"] |= {"username": "mallory", "groups": ["system:masters"]}
    cluster.kubectl("create", "-f", "-", "--validate=false", stdin=json.dumps(asked))
    assert shown(cluster, name, ".spec.username") == "system:admin"
    cluster.kubectl("patch", "csr", name, "--type=merge", "-p", '{"spec":{"username":"mallory"}}')
    assert shown(cluster, name, ".spec.username") == "system:admin"


def test_nobody_gets_to_be_a_master_by_request(cluster: Cluster, name: str) -> None:
    text = manifest(name, groups=("system:masters",))
    assert "use of kubernetes.io/kube-apiserver-client signer with system:masters group" in cluster.refused(
        "create", "-f", "-", stdin=text
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"signerName": "kubernetes.io/legacy-unknown"},
            "the legacy signerName is not allowed via this API version",
        ),
        ({"usages": []}, "spec.usages: Required value"),
        ({"usages": ["flying"]}, 'spec.usages[0]: Unsupported value: "flying"'),
        ({"request": "bm9wZQ=="}, "PEM block type must be CERTIFICATE REQUEST"),
        ({"expirationSeconds": 60}, "may not specify a duration less than 600 seconds (10 minutes)"),
    ],
)
def test_wrong_requests_are_refused_with_the_field(
    cluster: Cluster, name: str, spec: dict[str, Any], why: str
) -> None:
    assert why in cluster.refused("create", "-f", "-", stdin=manifest(name, **spec))
