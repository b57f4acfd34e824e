"""Client certificates of nodes: good only with the key that the node's name is bound to."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509

from minikube.api.core_v1 import Secret
from minikube.auth.base import Authenticator, Credentials, User
from minikube.auth.node_identity import NAMESPACE, NODE_PREFIX, Binding, decide, secret_name
from minikube.client.base import Lister
from minikube.errors import Unauthorized
from minikube.pki.requests import key_fingerprint

NODES = "system:nodes"


class NodeCertificates:
    """What `certificates` says, but for nodes whose name is somebody else's, free again or revoked."""

    def __init__(self, certificates: Authenticator, secrets: Lister[Secret]) -> None:
        self._certificates, self._secrets = certificates, secrets

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized."""
        user = await self._certificates.authenticate(credentials)
        if user is None or NODES not in user.groups or not user.name.startswith(NODE_PREFIX):
            return user
        record = self._secrets.get(secret_name(user.name.removeprefix(NODE_PREFIX)), NAMESPACE)
        if decide(record, _fingerprint(credentials.certificate)) is not Binding.OWN:
            raise Unauthorized
        return user


@lru_cache(maxsize=4096)
def _fingerprint(der: bytes) -> str:
    return key_fingerprint(x509.load_der_x509_certificate(der))
