"""CertificateApproval, CertificateSigning and CertificateSubjectRestriction: who may approve and sign for which
signer, and that nobody asks for the rights of system:masters.

Rules: kubernetes plugin/pkg/admission/certificates.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_changed, is_new
from minikube.auth.base import MASTERS, Action, Authorizer, User
from minikube.errors import Forbidden
from minikube.pki.requests import read_request

GROUP, PLURAL = "certificates.k8s.io", "certificatesigningrequests"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateApproval:
    name: ClassVar[str] = "CertificateApproval"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: Attributes) -> None:
        if not is_changed(request, GROUP, PLURAL, "approval"):
            return
        signer = _signer(request.old)
        if not authorized_for_signer(self._authorizer, request.user, "approve", signer):
            raise _refused(request, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning:
    name: ClassVar[str] = "CertificateSigning"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, request: Attributes) -> None:
        """Only a change of the certificate (or that signing failed) is signing."""
        if not is_changed(request, GROUP, PLURAL, "status"):
            return
        if _issued(request.object) == _issued(request.old):
            return
        signer = _signer(request.old)
        if not authorized_for_signer(self._authorizer, request.user, "sign", signer):
            raise _refused(request, f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction:
    name: ClassVar[str] = "CertificateSubjectRestriction"

    async def validate(self, request: Attributes) -> None:
        if not is_new(request, GROUP, PLURAL) or _signer(request.object) != CLIENT_SIGNER:
            return
        pem = ((request.object or {}).get("spec") or {}).get("request") or ""
        try:
            asked = read_request(base64.b64decode(pem))
        except ValueError as error:
            raise _refused(request, f"failed to parse CSR: {error}") from error
        if MASTERS in asked.organizations:
            why = f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
            raise _refused(request, why)


def authorized_for_signer(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """For this very signer, or for all of its domain."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.authorize(user, Action(verb, GROUP, "*", "signers", name=name)).allowed
        for name in (signer, f"{domain}/*")
    )


def _signer(obj: Mapping[str, Any] | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("signerName") or "")


def _issued(obj: Mapping[str, Any] | None) -> tuple[Any, bool]:
    status = (obj or {}).get("status") or {}
    return status.get("certificate"), any(one.get("type") == "Failed" for one in status.get("conditions") or ())


def _refused(request: Attributes, why: str) -> Forbidden:
    return Forbidden.of(PLURAL, GROUP, request.name, why)
