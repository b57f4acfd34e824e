"""Certificate requests: what is approved by itself, what is signed, what fails, what is cleaned up."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from minikube.api.authorization_v1 import SubjectAccessReview
from minikube.api.certificates_v1 import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
)
from minikube.api.core_v1 import Namespace, NodeAddress, NodeStatus
from minikube.api.meta import Key, ObjectMeta, from_dict, to_dict
from minikube.auth.base import User
from minikube.controllers import csr_rules as rules
from minikube.controllers.base import Context
from minikube.controllers.csr_approving import CsrApprovingController
from minikube.controllers.csr_cleaner import CsrCleanerController
from minikube.controllers.csr_signing import CsrSigningController, lifetime
from minikube.pki.certificates import common_name, ensure_ca
from minikube.pki.requests import Requested, key_fingerprint, make_request
from minikube.pki.server import ensure_server_pki
from minikube.registry.local import LocalClient
from minikube.settings import Settings
from tests.fakes.cluster import Cluster

CLIENT, SERVING = ("digital signature", "client auth"), ("digital signature", "server auth")
JOINING = User("system:bootstrap:abcdef", groups=("system:bootstrappers",))
NODE = User("system:node:n", groups=("system:nodes",))
WRONG_USAGES = "usages did not match [client auth digital signature key encipherment]"
KEY = ec.generate_private_key(ec.SECP256R1())


def request(
    signer: str = rules.KUBELET_CLIENT,
    usages: tuple[str, ...] = CLIENT,
    names: tuple[str, ...] = (),
    key: ec.EllipticCurvePrivateKey = KEY,
    seconds: int | None = None,
    node: str = "n",
) -> CertificateSigningRequest:
    pem = make_request(key, common_name=f"system:node:{node}", groups=["system:nodes"], names=names)
    spec = CertificateSigningRequestSpec(
        request=base64.b64encode(pem).decode(), signer_name=signer, usages=usages, expiration_seconds=seconds
    )
    return CertificateSigningRequest(metadata=ObjectMeta(name="c"), spec=spec)


class Scene:
    """One cluster; `may` are the subresources that reviews allow."""

    def __init__(self, cluster: Cluster, context: Context, may: set[str]) -> None:
        self.cluster, self.context = cluster, context

        async def review(namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
            asked = from_dict(SubjectAccessReview, body)
            attributes = asked.spec.resource_attributes
            assert attributes is not None
            status = replace(asked.status, allowed=attributes.subresource in may)
            return to_dict(replace(asked, status=status))

        cluster.registry.subresources["subjectaccessreviews", ""] = review

    async def ask(self, csr: CertificateSigningRequest, user: User) -> CertificateSigningRequest:
        """What becomes of it."""
        client = LocalClient(self.cluster.registry, user, "test")
        await client.create(csr)
        for kind in (CsrApprovingController, CsrSigningController):
            await kind(self.context).reconcile(Key("", csr.metadata.name))
        return await self.cluster.client.get(CertificateSigningRequest, csr.metadata.name)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def run(scene: Callable[[Scene], Awaitable[None]], *may: str) -> None:
        async def whole() -> None:
            settings = Settings(data_dir=tmp_path)
            for name in ("client-ca", "server-ca"):
                ensure_ca(settings.tls_dir, name)
            cluster = await Cluster.open()
            await cluster.client.create(Namespace(metadata=ObjectMeta(name="kube-system")))
            try:
                await scene(Scene(cluster, replace(cluster.context(), settings=settings), set(may)))
            finally:
                assert cluster.running is not None
                cluster.running.cancel()

        asyncio.run(whole())

    return run


def conditions(csr: CertificateSigningRequest) -> list[tuple[str, str]]:
    return [(each.type, each.reason) for each in csr.status.conditions]


def issued(csr: CertificateSigningRequest) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(csr.status.certificate))


def test_a_joining_machine_gets_the_certificate_of_its_node(play: Callable[..., None]) -> None:
    async def scene(it: Scene) -> None:
        found = await it.ask(request(), JOINING)
        assert conditions(found) == [("Approved", "AutoApproved")]
        assert issued(found).subject.rfc4514_string() == "CN=system:node:n,O=system:nodes"
        assert key_fingerprint(issued(found)) == key_fingerprint(
            x509.load_pem_x509_csr(base64.b64decode(found.spec.request))
        )
        assert (found.spec.username, found.spec.groups) == (JOINING.name, JOINING.groups)

    play(scene, "nodeclient")


def test_who_may_not_create_node_clients_waits_for_an_administrator(play: Callable[..., None]) -> None:
    async def scene(it: Scene) -> None:
        found = await it.ask(request(), JOINING)
        assert conditions(found) == []
        assert not found.status.certificate

    play(scene, "selfnodeclient")


def test_another_machine_cannot_take_the_name(play: Callable[..., None]) -> None:
    async def scene(it: Scene) -> None:
        await it.ask(request(), JOINING)
        other = request(key=ec.generate_private_key(ec.SECP256R1()))
        found = await it.ask(replace(other, metadata=ObjectMeta(name="d")), JOINING)
        assert conditions(found) == [("Approved", "AutoApproved"), ("Failed", "NodeNameTaken")]
        again = await it.ask(replace(request(), metadata=ObjectMeta(name="e")), JOINING)
        assert issued(again)

    play(scene, "nodeclient")


def test_a_long_name_is_a_name(play: Callable[..., None]) -> None:
    async def scene(it: Scene) -> None:
        found = await it.ask(request(node="n" * 60), JOINING)
        assert common_name(issued(found).subject) == f"system:node:{'n' * 60}"

    play(scene, "nodeclient")


@pytest.mark.parametrize("node", ["", "A/b", "n" * 254])
def test_a_name_that_no_node_can_have_fails(play: Callable[..., None], node: str) -> None:
    async def scene(it: Scene) -> None:
        found = await it.ask(request(node=node), JOINING)
        assert conditions(found) == [("Approved", "AutoApproved"), ("Failed", "SignerValidationFailure")]

    play(scene, "nodeclient")


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (("n", "10.0.0.1"), True),
        (("n", "10.0.0.9"), False),
        (("n", "10.0.0.2"), False),
        (("n", "kubernetes.default.svc"), False),
        (("n", "10.43.0.1"), False),
    ],
    ids=["its own", "nobody's", "the server's", "the API's name", "the API's address"],
)
def test_a_node_serves_under_its_name_and_addresses_and_never_under_the_servers(
    play: Callable[..., None], names: tuple[str, ...], good: bool
) -> None:
    """Even though it says that it has them."""

    async def scene(it: Scene) -> None:
        ensure_server_pki(it.context.settings, ["10.0.0.2"])
        node = await it.cluster.node("n")
        claims = [("InternalIP", "10.0.0.1"), ("InternalIP", "10.0.0.2"), ("ExternalIP", "10.43.0.1")]
        addresses = tuple(NodeAddress(type=type, address=address) for type, address in claims)
        status = NodeStatus(addresses=(*addresses, NodeAddress(type="Hostname", address="kubernetes.default.svc")))
        await it.cluster.client.update(replace(node, status=status), subresource="status")
        found = await it.ask(request(rules.KUBELET_SERVING, SERVING, names), NODE)
        assert bool(found.status.certificate) is good

    play(scene)


@pytest.mark.parametrize(
    ("signer", "usages", "names", "why"),
    [
        (
            rules.KUBELET_CLIENT,
            SERVING,
            (),
            "usages did not match [client auth digital signature key encipherment]",
        ),
        (rules.KUBELET_CLIENT, CLIENT, ("a",), "DNS subjectAltNames are not allowed"),
        (rules.KUBELET_SERVING, SERVING, (), "DNS or IP subjectAltName is required"),
        (rules.CLIENT, ("server auth",), (), "invalid usage for client certificate: server auth"),
        (rules.CLIENT, ("digital signature",), (), "missing required usage for client certificate: client auth"),
        (rules.CLIENT, CLIENT, (), ""),
    ],
)
def test_signers_refuse_in_upstreams_words(
    signer: str, usages: tuple[str, ...], names: tuple[str, ...], why: str
) -> None:
    asked = Requested("system:node:n", ("system:nodes",), dns_names=names)
    assert rules.signing_problem(signer, asked, usages) == why


def test_a_shorter_lifetime_is_granted_a_longer_one_is_not() -> None:
    day = timedelta(days=1)
    assert [lifetime(wanted, day) for wanted in (None, 60, 3600, 864000)] == [
        day,
        timedelta(minutes=10),
        timedelta(hours=1),
        day,
    ]


def test_old_requests_are_deleted(play: Callable[..., None]) -> None:
    async def scene(it: Scene) -> None:
        cleaner = CsrCleanerController(it.context)
        pending = await it.ask(request(), JOINING)
        denied = replace(request(), metadata=ObjectMeta(name="d"))
        made = await it.ask(denied, JOINING)
        condition = CertificateSigningRequestCondition(type="Denied", status="True", reason="No")
        status = replace(made.status, conditions=(condition,))
        await it.cluster.client.update(replace(made, status=status), subresource="approval")
        for hours, left in ((0, {"c", "d"}), (2, {"c"}), (23, set[str]())):
            it.cluster.clock.at += timedelta(hours=hours)
            for name in (pending.metadata.name, "d"):
                await cleaner.reconcile(Key("", name))
            there = await it.cluster.client.list(CertificateSigningRequest)
            assert {each.metadata.name for each in there.items} == left

    play(scene)
