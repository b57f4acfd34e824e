"""Client certificates of nodes: good only with the key that the node's name is bound to."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509

from minikube.api.core_v1 import Secret
from minikube.auth.base import Authenticator, Credentials, User
from minikube.auth.node_identity import NAMESPACE, Binding, decide, secret_name
from minikube.auth.node_names import node_of
from minikube.client.base import Lister
from minikube.errors import Unauthorized
from minikube.pki.requests import key_fingerprint


class NodeCertificates:
    """What `certificates` says, but for nodes whose name is somebody else's, free again or revoked."""

    def __init__(self, certificates: Authenticator, secrets: Lister[Secret]) -> None:
        self._certificates, self._secrets = certificates, secrets

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized."""
        user = await self._certificates.authenticate(credentials)
        node = node_of(user) if user is not None else None
        if node is None:
            return user
        record = self._secrets.get(secret_name(node), NAMESPACE)
        if decide(record, _fingerprint(credentials.certificate)) is not Binding.OWN:
            raise Unauthorized
        return user


@lru_cache(maxsize=4096)
def _fingerprint(der: bytes) -> str:
    return key_fingerprint(x509.load_der_x509_certificate(der))
