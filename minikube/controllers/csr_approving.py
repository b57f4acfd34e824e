"""Approves the certificate requests of nodes: what upstream's csrapproving does, and kubelet serving certificates.

A client certificate is approved when its requester may `create certificatesigningrequests/nodeclient` (join tokens)
or `…/selfnodeclient` (a node that renews). A serving certificate is approved for a node that asks with its own name
for that name and for addresses that its Node object has. What a node has it says itself, and the CA that signs is
the one by which everybody knows the API server: so whatever the API server goes by is no node's but its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from msgspec.structs import replace

from minikube.api import time
from minikube.api.authorization_v1 import ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec
from minikube.api.certificates_v1 import CertificateSigningRequest, CertificateSigningRequestCondition
from minikube.api.core_v1 import Node
from minikube.api.meta import Key
from minikube.controllers import csr_rules as rules
from minikube.controllers.base import After, Context, itself
from minikube.pki.certificates import load, names_of
from minikube.pki.node import GROUP, PREFIX
from minikube.pki.requests import Requested
from minikube.pki.server import server_pair

SELF, FIRST = "selfnodeclient", "nodeclient"
MESSAGES = {
    SELF: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    FIRST: "Auto approving kubelet client certificate after SubjectAccessReview.",
}
SERVING = "Auto approving kubelet serving certificate for the names and addresses of its Node."


def permissions(csr: CertificateSigningRequest, asked: Requested) -> Iterator[str]:
    """The subresources of which any that the requester may create lets it be approved."""
    if csr.spec.signer_name != rules.KUBELET_CLIENT or rules.kubelet_client_problem(asked, csr.spec.usages):
        return
    if csr.spec.username == asked.common_name:
        yield SELF
    yield FIRST


def serves_own_names(
    csr: CertificateSigningRequest, asked: Requested, node: Node | None, taken: frozenset[str]
) -> bool:
    """`taken`: names and addresses that this node must not have."""
    if csr.spec.signer_name != rules.KUBELET_SERVING or rules.kubelet_serving_problem(asked, csr.spec.usages):
        return False
    if node is None or csr.spec.username != asked.common_name or GROUP not in csr.spec.groups:
        return False
    if asked.common_name != PREFIX + node.metadata.name:
        return False
    own = {each.address for each in node.status.addresses}
    names, addresses = set(asked.dns_names), set(asked.addresses)
    return {node.metadata.name} >= names and own >= addresses and not taken & (names | addresses)


class CsrApprovingController:
    name: ClassVar[str] = "certificate-controller"
    workers: ClassVar[int] = 1
    watches = (itself(CertificateSigningRequest),)

    def __init__(self, context: Context) -> None:
        self._client, self._clock = context.client, context.clock
        self._settings = context.settings
        self._requests = context.informers.of(CertificateSigningRequest).lister
        self._nodes = context.informers.of(Node).lister

    async def reconcile(self, key: Key) -> After | None:
        csr = self._requests.get(key.name)
        if csr is None or csr.status.certificate or rules.has(csr, "Approved", "Denied"):
            return None
        try:
            asked = rules.requested(csr)
        except ValueError:
            return None
        node = self._nodes.get(asked.common_name.removeprefix(PREFIX))
        if serves_own_names(csr, asked, node, self._taken(asked.common_name.removeprefix(PREFIX))):
            await self._approve(csr, SERVING)
            return None
        for subresource in permissions(csr, asked):
            if await self._may_create(csr, subresource):
                await self._approve(csr, MESSAGES[subresource])
                return None
        return None

    def _taken(self, node: str) -> frozenset[str]:
        settings = self._settings
        if node == settings.own_node_name and not settings.disable_agent:
            return frozenset()
        return names_of(load(server_pair(settings)))

    async def _may_create(self, csr: CertificateSigningRequest, subresource: str) -> bool:
        spec = csr.spec
        attributes = ResourceAttributes(
            group=csr.resource.group,
            resource=csr.resource.plural,
            subresource=subresource,
            verb="create",
            version="*",
        )
        review = SubjectAccessReview(
            spec=SubjectAccessReviewSpec(
                user=spec.username,
                uid=spec.uid,
                groups=spec.groups,
                extra=spec.extra,
                resource_attributes=attributes,
            )
        )
        return (await self._client.create(review)).status.allowed

    async def _approve(self, csr: CertificateSigningRequest, message: str) -> None:
        now = time.seconds(self._clock.now())
        condition = CertificateSigningRequestCondition(
            type="Approved",
            status="True",
            reason="AutoApproved",
            message=message,
            last_update_time=now,
            last_transition_time=now,
        )
        status = replace(csr.status, conditions=(*csr.status.conditions, condition))
        await self._client.update(replace(csr, status=status), subresource="approval")
