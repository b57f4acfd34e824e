"""What a signing request is for, and whether it may be signed: pure rules over a request and what is in it.

Sources: kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests#kubernetes-signers and
pkg/apis/certificates/helpers.go.
"""

from __future__ import annotations

import base64
from collections.abc import Collection

from minikube.api.certificates_v1 import CertificateSigningRequest
from minikube.pki.node import GROUP as NODES
from minikube.pki.node import PREFIX as NODE_PREFIX
from minikube.pki.requests import Requested, read_request

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
_ANY_KEY = {"digital signature", "key encipherment"}


def requested(csr: CertificateSigningRequest) -> Requested:
    """Raises ValueError."""
    return read_request(base64.b64decode(csr.spec.request))


def has(csr: CertificateSigningRequest, *types: str) -> bool:
    """Whether a condition of one of these types holds."""
    return any(each.type in types and each.status == "True" for each in csr.status.conditions)


def signing_problem(signer: str, asked: Requested, usages: Collection[str]) -> str:
    """Why this signer must not sign it; empty: it may."""
    match signer:
        case "kubernetes.io/kube-apiserver-client":
            return _client_problem(usages)
        case "kubernetes.io/kube-apiserver-client-kubelet":
            return kubelet_client_problem(asked, usages)
        case "kubernetes.io/kubelet-serving":
            return kubelet_serving_problem(asked, usages)
    return f"unrecognized signerName: {signer}"


def kubelet_client_problem(asked: Requested, usages: Collection[str]) -> str:
    if asked.organizations != (NODES,):
        return "subject organization is not system:nodes"
    for what, names in (
        ("DNS", asked.dns_names), ("Email", asked.emails), ("IP", asked.addresses), ("URI", asked.uris),
    ):  # fmt: skip
        if names:
            return f"{what} subjectAltNames are not allowed"
    if not asked.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _exact_usages(usages, "client auth")


def kubelet_serving_problem(asked: Requested, usages: Collection[str]) -> str:
    if asked.organizations != (NODES,):
        return "subject organization is not system:nodes"
    if not asked.dns_names and not asked.addresses:
        return "DNS or IP subjectAltName is required"
    for what, names in (("Email", asked.emails), ("URI", asked.uris)):
        if names:
            return f"{what} subjectAltNames are not allowed"
    if not asked.common_name.startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _exact_usages(usages, "server auth")


def _exact_usages(usages: Collection[str], purpose: str) -> str:
    wanted = {"digital signature", purpose}
    if set(usages) in (wanted, wanted | {"key encipherment"}):
        return ""
    listed = " ".join(sorted(wanted | {"key encipherment"}))
    return f"usages did not match [{listed}]"


def _client_problem(usages: Collection[str]) -> str:
    for usage in usages:
        if usage != "client auth" and usage not in _ANY_KEY:
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"
