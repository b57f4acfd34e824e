"""auth/csr: CertificateSigningRequests with their two subresources."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.api.raw import MERGE
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition
from tests.conformance.verbs import check_discovery, check_verbs

pytestmark = pytest.mark.conformance

KIND = "certificates.k8s.io/v1/CertificateSigningRequest"


def request(space: Space, name: str) -> Obj:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e2e.example.com")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": f"example.com/e2e-{space.name}",
            "expirationSeconds": 3600,
            "usages": ["digital signature", "key encipherment", "server auth"],
        },
    }


@row("Certificates API should support CSR API operations")
def test_all_verbs_and_both_subresources(space: Space):
    resources = "certificatesigningrequests"
    check_discovery(space, "certificates.k8s.io", "v1", resources, f"{resources}/approval", f"{resources}/status")
    name = check_verbs(space, lambda name: request(space, name))["metadata"]["name"]
    assert space.get(KIND, name, sub="approval")["metadata"]["name"] == name
    said = {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}
    patch = {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [said]}}
    patched = space.patch(KIND, name, patch, type=MERGE, sub="approval")
    assert condition(patched, "ApprovalPatch") == "True"
    assert patched["metadata"]["annotations"]["patchedapproval"] == "true"
    approved = {"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}
    patched["status"]["conditions"].append(approved)
    assert condition(space.update(patched, sub="approval"), "Approved") == "True"
    assert space.get(KIND, name, sub="status")["metadata"]["name"] == name
    certificate = space.http.get("/api/v1/namespaces/default/configmaps/kube-root-ca.crt").ok()["data"]["ca.crt"]
    issued = base64.b64encode(certificate.encode()).decode()
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": issued}}
    patched = space.patch(KIND, name, patch, type=MERGE, sub="status")
    assert patched["status"]["certificate"] == issued
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    patched["status"]["conditions"].append({**approved, "type": "StatusUpdate"})
    assert condition(space.update(patched, sub="status"), "StatusUpdate") == "True"
    space.delete(KIND, name)
