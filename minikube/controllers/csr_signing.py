"""Signs approved certificate requests for the kubernetes.io signers; a node's client certificate binds its name.

The first client certificate for `system:node:<name>` binds the name to that key: a request with another key fails,
until `minikube node rejoin <name>` frees it.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import ClassVar

from msgspec.structs import replace

from minikube.api import time
from minikube.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from minikube.api.core_v1 import Secret
from minikube.api.meta import Key
from minikube.api.names import subdomain_problems
from minikube.auth import node_identity as identity
from minikube.controllers import csr_rules as rules
from minikube.controllers.base import After, Context, itself
from minikube.pki.certificates import Pair
from minikube.pki.node import PREFIX
from minikube.pki.requests import Requested, sign_request

SHORTEST = timedelta(minutes=10)
"""Rule of upstream's signer: shorter wishes get this, longer ones than the signer's own lifetime get that."""


def lifetime(wanted: int | None, longest: timedelta) -> timedelta:
    if wanted is None:
        return longest
    return min(longest, max(SHORTEST, timedelta(seconds=wanted)))


class CsrSigningController:
    name: ClassVar[str] = "certificate-controller"
    workers: ClassVar[int] = 1
    watches = (itself(CertificateSigningRequest),)

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._requests = context.informers.of(CertificateSigningRequest).lister
        self._secrets = context.informers.of(Secret).lister
        self._lifetime = timedelta(seconds=context.settings.certificate_seconds)
        directory = context.settings.tls_dir
        client_ca = Pair(directory / "client-ca.crt", directory / "client-ca.key")
        server_ca = Pair(directory / "server-ca.crt", directory / "server-ca.key")
        self._authorities = {
            rules.CLIENT: client_ca,
            rules.KUBELET_CLIENT: client_ca,
            rules.KUBELET_SERVING: server_ca,
        }

    async def reconcile(self, key: Key) -> After | None:
        csr = self._requests.get(key.name)
        if csr is None or csr.status.certificate or not rules.has(csr, "Approved") or rules.has(csr, "Failed"):
            return None
        authority = self._authorities.get(csr.spec.signer_name)
        if authority is None:
            return None
        asked = rules.requested(csr)
        if problem := rules.signing_problem(csr.spec.signer_name, asked, csr.spec.usages):
            await self._fail(csr, "SignerValidationFailure", problem)
            return None
        if csr.spec.signer_name == rules.KUBELET_CLIENT and not await self._bind(csr, asked):
            return None
        pem = base64.b64decode(csr.spec.request)
        issued = sign_request(
            authority, pem, csr.spec.usages, lifetime(csr.spec.expiration_seconds, self._lifetime)
        )
        status = replace(csr.status, certificate=base64.b64encode(issued).decode())
        await self._client.update(replace(csr, status=status), subresource="status")
        return None

    async def _bind(self, csr: CertificateSigningRequest, asked: Requested) -> bool:
        """Whether the node's name is now, or was already, this key's."""
        node = asked.common_name.removeprefix(PREFIX)
        if any(subdomain_problems(node)):
            await self._fail(csr, "SignerValidationFailure", f'"{node}" is no name of a node')
            return False
        record = self._secrets.get(identity.secret_name(node), identity.NAMESPACE)
        match identity.decide(record, asked.key):
            case identity.Binding.OWN:
                return True
            case identity.Binding.FREE:
                wanted = identity.bound(node, asked.key, self._clock.now(), record)
                await (self._client.update(wanted) if record is not None else self._client.create(wanted))
                return True
            case identity.Binding.REVOKED:
                await self._fail(csr, "NodeRevoked", f'node "{node}" is revoked; {identity.rejoin_advice(node)}')
            case identity.Binding.TAKEN:
                message = f'the name "{node}" belongs to another machine, which joined first; '
                await self._fail(csr, "NodeNameTaken", message + identity.rejoin_advice(node))
        return False

    async def _fail(self, csr: CertificateSigningRequest, reason: str, message: str) -> None:
        now = time.seconds(self._clock.now())
        condition = CertificateSigningRequestCondition(
            type="Failed",
            status="True",
            reason=reason,
            message=message,
            last_update_time=now,
            last_transition_time=now,
        )
        status = replace(csr.status, conditions=(*csr.status.conditions, condition))
        await self._client.update(replace(csr, status=status), subresource="status")
