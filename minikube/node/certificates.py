"""Keeps a running node's certificates good: asks for the next one in time, with the one it has."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence

from minikube.api.core_v1 import ConfigMap, Node
from minikube.client.base import Informers
from minikube.client.http import HttpClient
from minikube.errors import ApiError
from minikube.kit.clock import Clock
from minikube.node.join import CLIENT_SIGNER, NODES, SERVING_SIGNER, Refused, obtain
from minikube.pki.certificates import Pair, ensure_key, has_names, load, renewal, write_private
from minikube.pki.node import NodePki
from minikube.pki.requests import make_request

log = logging.getLogger(__name__)

LOOK_EVERY, RETRY_EVERY = 600.0, 10.0
SHORTEST = 0.5


class NodeCertificates:
    """`context` is the one that `client` connects with: it gets each new client certificate."""

    def __init__(
        self,
        client: HttpClient,
        informers: Informers,
        context: ssl.SSLContext,
        pki: NodePki,
        name: str,
        clock: Clock,
    ) -> None:
        self._client, self._context, self._pki, self._name, self._clock = client, context, pki, name, clock
        self._changed = asyncio.Event()
        self._node = informers.of(Node, fields=f"metadata.name={name}")
        self._node.add_handler(lambda old, new: self._changed.set())
        self.served = asyncio.Event()
        """There is a serving certificate."""
        self.renewed: list[Callable[[], None]] = []
        """Called whenever the serving certificate's file has changed."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._client_ca()
                await self._renew_client()
                await self._renew_serving()
                pause = self._until_next()
            except (ApiError, Refused) as error:
                log.warning("no new certificate for this node yet: %s", error)
                pause = RETRY_EVERY
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _client_ca(self) -> None:
        """Whose certificates the kubelet's API accepts."""
        found = await self._client.get(ConfigMap, "extension-apiserver-authentication", "kube-system")
        pem = found.data.get("client-ca-file", "").encode()
        if not self._pki.client_ca.exists() or self._pki.client_ca.read_bytes() != pem:
            write_private(self._pki.client_ca, pem, 0o644)

    async def _renew_client(self) -> None:
        if not self._due(self._pki.client, ()):
            return
        await self._obtain(self._pki.client, (), CLIENT_SIGNER, "client auth")
        self._context.load_cert_chain(self._pki.client.certificate, self._pki.client.key)
        await self._client.renew()

    async def _renew_serving(self) -> None:
        node = self._node.lister.get(self._name)
        if node is None or not node.status.addresses:
            return
        names = list(dict.fromkeys([self._name, *(each.address for each in node.status.addresses)]))
        if self._due(self._pki.serving, names):
            await self._obtain(self._pki.serving, names, SERVING_SIGNER, "server auth")
            for tell in self.renewed:
                tell()
        self.served.set()

    def _due(self, pair: Pair, names: Sequence[str]) -> bool:
        certificate = load(pair)
        return certificate is None or self._clock.now() >= renewal(certificate) or not has_names(certificate, names)

    async def _obtain(self, pair: Pair, names: Sequence[str], signer: str, usage: str) -> None:
        key = ensure_key(pair.key)
        pem = make_request(key, common_name=f"system:node:{self._name}", groups=[NODES], names=names)
        issued = await obtain(self._client, pem, signer, ("digital signature", usage), self._clock)
        write_private(pair.certificate, issued, 0o644)
        log.info("%s is new", pair.certificate.name)

    def _until_next(self) -> float:
        """Seconds."""
        now = self._clock.now()
        ends = [renewal(each) for pair in (self._pki.client, self._pki.serving) if (each := load(pair)) is not None]
        left = min(((at - now).total_seconds() for at in ends), default=LOOK_EVERY)
        return min(LOOK_EVERY, max(SHORTEST, left))
