"""A node's client certificate is good with the key that its name is bound to, and with no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from minikube.api.core_v1 import Namespace, Secret
from minikube.api.meta import ObjectMeta
from minikube.auth import node_identity as identity
from minikube.auth.base import Credentials
from minikube.auth.certificates import CertificateAuthenticator
from minikube.auth.node_certificates import NodeCertificates
from minikube.errors import Unauthorized
from minikube.pki.certificates import Pair, ensure_ca, ensure_leaf
from minikube.pki.requests import key_fingerprint
from tests.fakes.cluster import Cluster

NOW = datetime.now(UTC)
Record = Callable[[str], Secret | None]


def named(directory: Path, record: Record, name: str = "system:node:n") -> str:
    """Whom the certificate of `name` makes; `record` is made from its key's fingerprint. Raises Unauthorized."""
    ca = ensure_ca(directory, "ca")
    pair = Pair(directory / "leaf.crt", directory / "leaf.key")
    ensure_leaf(pair, ca, common_name=name, groups=["system:nodes"], client=True)
    certificate = x509.load_pem_x509_certificate(pair.pem)

    async def scene() -> str:
        cluster = await Cluster.open()
        await cluster.client.create(Namespace(metadata=ObjectMeta(name="kube-system")))
        found = record(key_fingerprint(certificate))
        if found is not None:
            await cluster.client.create(found)
        authenticator = NodeCertificates(
            CertificateAuthenticator([ca.certificate]), cluster.informers.of(Secret).lister
        )
        try:
            user = await authenticator.authenticate(Credentials(certificate.public_bytes(Encoding.DER)))
        finally:
            assert cluster.running is not None
            cluster.running.cancel()
        return user.name if user is not None else ""

    return asyncio.run(scene())


def test_the_bound_key_is_the_node(tmp_path: Path) -> None:
    assert named(tmp_path, lambda key: identity.bound("n", key, NOW, None)) == "system:node:n"


@pytest.mark.parametrize(
    "record",
    [
        lambda key: identity.bound("n", "another", NOW, None),
        lambda key: identity.revoked("n", NOW, None),
        lambda key: identity.free("n", None),
        lambda key: identity.bound("m", key, NOW, None),
        lambda key: None,
    ],
    ids=["taken", "revoked", "free", "of another node", "unknown"],
)
def test_any_other_key_is_refused(tmp_path: Path, record: Record) -> None:
    with pytest.raises(Unauthorized):
        named(tmp_path, record)


def test_who_is_no_node_needs_no_record(tmp_path: Path) -> None:
    assert named(tmp_path, lambda key: None, name="jane") == "jane"
