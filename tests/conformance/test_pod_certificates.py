"""auth/pod-certificates: requests for certificates of pods, and their keys and certificates in the files of pods."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from minikube.pki import pod_keys
from tests.api.raw import MERGE
from tests.conformance.operations import every_verb, listed_in_discovery
from tests.conformance.rows import row
from tests.conformance.space import AGNHOST, Obj, Space, pod
from tests.conformance.traffic import service
from tests.conformance.wire import GoHttp

pytestmark = pytest.mark.conformance

REQUEST, BUNDLE = "certificates.k8s.io/v1/PodCertificateRequest", "certificates.k8s.io/v1/ClusterTrustBundle"
LIFE = "Projected PodCertificate MaxExpirationSeconds validations should "
PATH = "spiffe/path-overriding"


class Signer:
    """Signs what names it, as upstream's hermetic signer does: a SPIFFE URI, the life that was asked for."""

    def __init__(self, space: Space) -> None:
        self.name = f"e2e.example.com/{space.name}"
        self._http, self._space = GoHttp(Path(space.site.kubeconfig)), space
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, space.name)])
        self.ca = self._certificate(self._key.public_key(), self._subject, timedelta(days=1), ca=True)

    def _certificate(
        self, key: object, subject: x509.Name, life: timedelta, *, uri: str = "", ca: bool = False
    ) -> x509.Certificate:
        begin = datetime.now(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + life)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if uri:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
            usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(names, critical=True).add_extension(usages, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def pem(self) -> str:
        return self.ca.public_bytes(Encoding.PEM).decode()

    def sign(self, request: Obj) -> None:
        spec, meta = request["spec"], request["metadata"]
        csr = x509.load_der_x509_csr(base64.b64decode(spec["stubPKCS10Request"]))
        path = spec.get("unverifiedUserAnnotations", {}).get(PATH)
        account = f"/ns/{meta['namespace']}/sa/{spec['serviceAccountName']}"
        life = timedelta(seconds=spec["maxExpirationSeconds"])
        made = self._certificate(
            csr.public_key(), x509.Name([]), life, uri=f"spiffe://cluster.local{path or account}"
        )
        begin = made.not_valid_before_utc
        request["status"] = {
            "certificateChain": made.public_bytes(Encoding.PEM).decode(),
            "notBefore": begin.isoformat().replace("+00:00", "Z"),
            "beginRefreshAt": (begin + life / 2).isoformat().replace("+00:00", "Z"),
            "notAfter": (begin + life).isoformat().replace("+00:00", "Z"),
            "conditions": [
                {
                    "type": "Issued", "status": "True", "reason": "Reason", "message": "Issued",
                    "lastTransitionTime": begin.isoformat().replace("+00:00", "Z"),
                }
            ],
        }  # fmt: skip
        root = f"/apis/certificates.k8s.io/v1/namespaces/{meta['namespace']}/podcertificaterequests"
        self._http.put(f"{root}/{meta['name']}/status", request).ok()

    def run(self) -> None:
        """Until its watch ends."""
        selector = f"fieldSelector=spec.signerName%3D{self.name.replace('/', '%2F')}"
        path = f"/apis/certificates.k8s.io/v1/podcertificaterequests?watch=1&timeoutSeconds=90&{selector}"
        for event in self._http.stream(path, 100):
            if event["type"] == "ADDED" and not event["object"].get("status", {}).get("conditions"):
                self.sign(event["object"])


@contextmanager
def signing(space: Space) -> Iterator[Signer]:
    signer = Signer(space)
    threading.Thread(target=signer.run, daemon=True).start()
    yield signer


def reader(signer: Signer, name: str, **source: object) -> Obj:
    made = pod(name, "sh", "-c", "cat /run/tls/bundle.pem; exec sleep 3600")
    wanted = {"signerName": signer.name, "keyType": "ECDSAP256", "credentialBundlePath": "bundle.pem", **source}
    made["spec"]["volumes"] = [{"name": "tls", "projected": {"sources": [{"podCertificate": wanted}]}}]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "tls", "mountPath": "/run/tls"}]
    return made


def issued(space: Space, name: str) -> x509.Certificate:
    """What a pod that runs has shown; the key before it is its own."""
    space.wait(lambda: space.get("v1/Pod", name)["status"]["phase"] == "Running")
    text = space.wait(lambda: "END CERTIFICATE" in (found := space.logs(name)) and found)
    assert text.startswith("-----BEGIN PRIVATE KEY-----\n")
    [found] = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.DOTALL)
    return x509.load_pem_x509_certificate(found.encode())


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        pytest.param(
            {},
            86400,
            marks=row(LIFE + "issue certificate with default life time (24h) when MaxExpirationSeconds is not set"),
        ),
        pytest.param(
            {"maxExpirationSeconds": 3600},
            3600,
            marks=row(LIFE + "issue certificate with specified duration (1h) when MaxExpirationSeconds is set"),
        ),
    ],
)
def test_a_certificate_lives_as_long_as_was_asked(space: Space, asked: Obj, seconds: int):
    with signing(space) as signer:
        space.create(reader(signer, "inspector", **asked))
        found = issued(space, "inspector")
    assert (found.not_valid_after_utc - found.not_valid_before_utc).total_seconds() == seconds
    [request] = space.list(REQUEST)
    spec, owner = request["spec"], space.get("v1/Pod", "inspector")
    assert (spec["podUID"], spec["nodeName"]) == (owner["metadata"]["uid"], owner["spec"]["nodeName"])
    assert spec["nodeUID"] == space.get("v1/Node", spec["nodeName"])["metadata"]["uid"]
    assert spec["serviceAccountUID"] == space.get("v1/ServiceAccount", "default")["metadata"]["uid"]
    assert request["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]


@row(
    LIFE + "reject pod creation when MaxExpirationSeconds exceeds maximum (91d)",
    LIFE + "reject pod creation when MaxExpirationSeconds is less than minimum (1h)",
)
def test_too_long_and_too_short_a_life_is_refused(space: Space):
    signer = Signer(space)
    for seconds, why in ((91 * 86400 + 1, "<= 7862400"), (3599, ">= 3600")):
        answer = space.ask("POST", "v1/Pod", body=reader(signer, "refused", maxExpirationSeconds=seconds))
        assert f"if provided, maxExpirationSeconds must be {why}" in answer.refused(422, "Invalid")


@row("Projected PodCertificate should honor UserAnnotations for SPIFFE URI path")
def test_a_signer_learns_what_the_pod_says(space: Space):
    with signing(space) as signer:
        space.create(reader(signer, "inspector", userAnnotations={PATH: "/custom-workload"}))
        names = issued(space, "inspector").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/custom-workload"]


SERVER = """
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/tls/bundle.pem")
context.load_verify_locations("/run/tls/trust.pem")
context.verify_mode = ssl.CERT_REQUIRED
with socket.create_server(("", 8443)) as server:
    while True:
        try:
            with context.wrap_socket(server.accept()[0], server_side=True) as stream:
                stream.sendall(("Client Identity: " + stream.getpeercert()["subjectAltName"][0][1]).encode())
        except OSError as error:
            print(error, flush=True)
"""
CLIENT = """
import socket, ssl, time
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.load_cert_chain("/run/tls/bundle.pem")
context.load_verify_locations("/run/tls/trust.pem")
while True:
    try:
        with context.wrap_socket(socket.create_connection(("server", 443), 2)) as stream:
            print("Got response body:", stream.recv(1000).decode(), flush=True)
    except OSError as error:
        print(error, flush=True)
    time.sleep(0.5)
"""


def peer(signer: Signer, name: str, program: str) -> Obj:
    made = reader(signer, name)
    made["metadata"]["labels"] = {"app": name}
    made["spec"]["containers"][0] |= {"image": AGNHOST, "command": ["python3", "-c", program]}
    trust = {"signerName": signer.name, "labelSelector": {}, "path": "trust.pem"}
    made["spec"]["volumes"][0]["projected"]["sources"].append({"clusterTrustBundle": trust})
    return made


@row("Projected PodCertificate should allow server and client pods to establish an mTLS connection")
def test_two_pods_know_each_other_by_their_certificates(space: Space):
    with signing(space) as signer:
        meta = {"name": f"{signer.name.replace('/', ':')}:trust", "labels": {"of": space.name}}
        spec = {"signerName": signer.name, "trustBundle": signer.pem()}
        space.create(
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "ClusterTrustBundle",
                "metadata": meta,
                "spec": spec,
            }
        )
        space.create(peer(signer, "server", SERVER))
        port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": 8443}
        space.create(service("server", {"app": "server"}, port))
        space.create(peer(signer, "client", CLIENT))
        whom = f"spiffe://cluster.local/ns/{space.name}/sa/default"
        space.wait(lambda: f"Got response body: Client Identity: {whom}" in space.logs("client"))
    space.delete(BUNDLE, meta["name"])


def test_a_pod_whose_certificate_is_denied_does_not_start(space: Space):
    signer = Signer(space)
    space.create(reader(signer, "inspector"))
    [request] = space.wait(lambda: space.list(REQUEST))
    answer = {"type": "Denied", "status": "True", "reason": "No", "message": "not you"}
    answer |= {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    space.patch(REQUEST, request["metadata"]["name"], {"status": {"conditions": [answer]}}, sub="status")
    space.wait(lambda: [each for each in space.events("inspector") if each["reason"] == "Denied"])
    assert space.get("v1/Pod", "inspector")["status"]["phase"] == "Pending"
    assert len(space.list(REQUEST)) == 1


def request(space: Space) -> Obj:
    stub = pod_keys.stub_request(pod_keys.KEY_TYPES["ED25519"]())
    spec = {
        "signerName": "example.com/nobody", "podName": "pod", "podUID": "pod-uid", "serviceAccountName": "sa",
        "serviceAccountUID": "sa-uid", "nodeName": "node", "nodeUID": "node-uid",
        "stubPKCS10Request": base64.b64encode(stub).decode(),
    }  # fmt: skip
    return {"apiVersion": "certificates.k8s.io/v1", "kind": "PodCertificateRequest", "spec": spec}


@row("PodCertificateRequest API should support PodCertificateRequest API operations")
def test_every_verb_of_requests(space: Space):
    listed_in_discovery(space, REQUEST, status=True)
    every_verb(space, request(space))
    made = request(space)
    made["metadata"] = {"name": "answered"}
    assert space.create(made)["spec"]["maxExpirationSeconds"] == 86400
    answer = {"type": "Denied", "status": "True", "reason": "Test", "message": "m"}
    answer |= {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    found = space.patch(REQUEST, "answered", {"status": {"conditions": [answer]}}, sub="status")
    assert found["status"]["conditions"] == [answer]
    made["metadata"] = {"name": "put"}
    found = space.create(made)
    found["status"] = {"conditions": [answer | {"type": "Failed"}]}
    assert space.update(found, sub="status")["status"] == found["status"]
    assert space.get(REQUEST, "put", sub="status")["status"] == found["status"]
    refused = space.ask("PATCH", REQUEST, "answered", {"spec": {"podName": "other"}}, type=MERGE)
    assert "field is immutable" in refused.refused(422, "Invalid")
