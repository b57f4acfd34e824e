"""certificates.k8s.io: signing requests and trust bundles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api.certificates_v1 import CertificateSigningRequest, ClusterTrustBundle, PodCertificateRequest
from minikube.resources.base import human_duration
from minikube.resources.declare import NONE, UNKNOWN, columns, declare, since
from minikube.resources.rules.certificate import SigningRequestRules, TrustBundleRules
from minikube.resources.rules.pod_certificate import PodCertificateRequestRules


def _condition(request: CertificateSigningRequest) -> str:
    types = {one.type for one in request.status.conditions}
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        words.append("Failed")
    if request.status.certificate:
        words.append("Issued")
    return ",".join(words)


def csr_row(request: CertificateSigningRequest, now: datetime) -> Sequence[Any]:
    spec = request.spec
    return (
        request.metadata.name,
        since(request, now),
        spec.signer_name or NONE,
        spec.username,
        human_duration(spec.expiration_seconds) if spec.expiration_seconds is not None else NONE,
        _condition(request),
    )


def bundle_row(bundle: ClusterTrustBundle, now: datetime) -> Sequence[Any]:
    return bundle.metadata.name, bundle.spec.signer_name or NONE


def pod_request_row(request: PodCertificateRequest, now: datetime) -> Sequence[Any]:
    spec = request.spec
    state = "Pending"
    for condition in request.status.conditions:
        if condition.type in ("Issued", "Denied", "Failed") and condition.status == "True":
            state = condition.type
    return (
        request.metadata.name,
        spec.pod_name,
        spec.service_account_name,
        spec.node_name or UNKNOWN,
        spec.signer_name,
        state,
        since(request, now),
    )


KINDS = (
    declare(
        CertificateSigningRequest,
        strategy=SigningRequestRules(),
        short_names=("csr",),
        status=True,
        subresources=("approval",),
        columns=columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        row=csr_row,
    ),
    declare(ClusterTrustBundle, strategy=TrustBundleRules(), columns=columns("Name", "SignerName"), row=bundle_row),
    declare(
        PodCertificateRequest,
        strategy=PodCertificateRequestRules(),
        status=True,
        status_metadata=(),
        columns=columns("Name", "PodName", "ServiceAccountName", "NodeName", "SignerName", "State", "Age"),
        row=pod_request_row,
    ),
)
