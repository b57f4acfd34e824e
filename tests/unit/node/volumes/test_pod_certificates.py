"""Certificates of pods: asked for once, waited for, renewed in time with a new key, and not again when refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec.structs import replace

from minikube.api.certificates_v1 import PodCertificateRequest, PodCertificateRequestStatus
from minikube.api.core_v1 import Node, Pod, PodCertificateProjection, PodSpec, ServiceAccount
from minikube.api.meta import ObjectMeta
from minikube.api.meta_v1 import Condition
from minikube.node.volumes.files import Credentials, Slot
from minikube.node.volumes.pod_certificates import PodCertificates
from minikube.node.volumes.problems import Unmet
from minikube.pki import pod_keys
from tests.fakes.cluster import Cluster
from tests.unit.node.volumes.test_following import Heard

SOURCE = PodCertificateProjection(signer_name="example.com/s", key_type="ED25519", user_annotations={"a": "b"})
SLOT = Slot("v", 0)
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"


class Desk:
    """A pod that wants a certificate, and the signer's side of it."""

    def __init__(self, cluster: Cluster, certificates: PodCertificates, woken: Heard, node: Node, pod: Pod) -> None:
        self.cluster, self.certificates, self.woken, self.node, self.pod = cluster, certificates, woken, node, pod

    async def get(self) -> Credentials:
        return await self.certificates.get(self.pod, SLOT, SOURCE, self.node)

    async def requests(self) -> list[PodCertificateRequest]:
        found = await self.cluster.client.list(PodCertificateRequest, "default")
        return sorted(found.items, key=lambda one: one.metadata.creation_timestamp or datetime.min)

    async def answer(self, type: str, name: str = "one") -> None:
        """To the newest request that has none: a certificate that is to be renewed after ten hours."""
        [request] = [each for each in await self.requests() if not each.status.conditions]
        now = self.cluster.clock.now()
        condition = Condition(type=type, status="True", reason="Because", message="so", last_transition_time=now)
        status = PodCertificateRequestStatus(conditions=(condition,))
        if type == "Issued":
            renew = now + timedelta(hours=10)
            chain = f"a comment\n{PEM.format(name)}\nanother\n{PEM.format('ca')}\n"
            status = replace(
                status, certificate_chain=chain, not_before=now, begin_refresh_at=renew, not_after=renew
            )
        await self.heard(self.cluster.client.update(replace(request, status=status), subresource="status"))

    async def heard(self, change: Awaitable[object]) -> None:
        """Once the pod has been woken for it."""
        while not self.woken.names.empty():
            self.woken.names.get_nowait()
        await change
        assert await self.woken.one() == self.pod.metadata.uid


@asynccontextmanager
async def opened() -> AsyncIterator[Desk]:
    cluster, woken = await Cluster.open(), Heard()
    node = await cluster.node("n1")
    await cluster.client.create(ServiceAccount(metadata=ObjectMeta(name="robot", namespace="default")))
    certificates = PodCertificates(cluster.client, cluster.clock, cluster.told, woken)
    running = asyncio.create_task(certificates.run())
    spec = PodSpec(node_name="n1", service_account_name="robot")
    pod = Pod(metadata=ObjectMeta(name="p", namespace="default", uid="u"), spec=spec)
    yield Desk(cluster, certificates, woken, node, pod)
    running.cancel()
    await asyncio.wait([running])


async def test_a_request_says_whose_it_is_and_is_made_once() -> None:
    async with opened() as desk:
        for _ in range(2):
            with pytest.raises(Unmet, match=r"PodCertificateRequest default/req-.* is pending"):
                await desk.get()
        [made] = await desk.requests()
        spec, account = made.spec, await desk.cluster.client.get(ServiceAccount, "robot", "default")
        assert (spec.signer_name, spec.unverified_user_annotations) == ("example.com/s", {"a": "b"})
        assert (spec.pod_name, spec.pod_uid, spec.node_name) == ("p", "u", "n1")
        assert (spec.node_uid, spec.service_account_uid) == (desk.node.metadata.uid, account.metadata.uid)
        assert made.metadata.owner_references[0].uid == "u"


async def test_what_was_issued_is_kept_and_renewed_in_time_with_another_key() -> None:
    async with opened() as desk:
        with pytest.raises(Unmet):
            await desk.get()
        await desk.answer("Issued")
        first = await desk.get()
        load_pem_private_key(first.key, None)
        assert first.chain.decode() == f"{PEM.format('one')}\n{PEM.format('ca')}\n"
        assert desk.certificates.due_in("u") == 36000
        await desk.cluster.clock.sleep(35999)
        assert await desk.get() is first
        await desk.cluster.clock.sleep(2)
        assert await desk.get() is first
        assert desk.certificates.due_in("u") == 60
        assert len(await desk.requests()) == 2
        await desk.answer("Issued", "two")
        await desk.cluster.clock.sleep(60)
        second = await desk.get()
        assert second.key != first.key
        assert second.chain.startswith(PEM.format("two").encode())


async def test_what_was_refused_is_not_asked_for_again() -> None:
    async with opened() as desk:
        with pytest.raises(Unmet):
            await desk.get()
        await desk.answer("Denied")
        for _ in range(2):
            with pytest.raises(Unmet, match='was denied, reason="Because", message="so"'):
                await desk.get()
        assert len(await desk.requests()) == 1
        assert [reason for reason, _ in desk.cluster.told.events] == ["Denied"]


async def test_a_request_that_somebody_deleted_is_made_again() -> None:
    async with opened() as desk:
        with pytest.raises(Unmet):
            await desk.get()
        [made] = await desk.requests()
        await desk.heard(desk.cluster.client.delete(PodCertificateRequest, made.metadata.name, "default"))
        with pytest.raises(Unmet, match="appears to have been deleted"):
            await desk.get()
        with pytest.raises(Unmet, match="pending"):
            await desk.get()
        desk.certificates.forget("u")
        assert desk.certificates.due_in("u") is None


@pytest.mark.parametrize("kind", ["ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"])
def test_every_kind_of_key_signs_its_request(kind: str) -> None:
    key = pod_keys.KEY_TYPES[kind]()
    request = x509.load_der_x509_csr(pod_keys.stub_request(key))
    assert request.is_signature_valid
    assert (request.public_key(), list(request.subject)) == (key.public_key(), [])
