"""Keeps a running node's certificates good: asks for the next one in time, with the one it has; takes in new CAs.

What a node trusts comes from the cluster: the server's CAs from kube-public/cluster-info, those of clients of its
own API from kube-system/extension-apiserver-authentication.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from minikube.api.core_v1 import ConfigMap, Node
from minikube.auth.join_roles import CLIENT_CA, CLUSTER_INFO, INFO_NAMESPACE
from minikube.client.base import Informers
from minikube.client.http import HttpClient
from minikube.errors import ApiError, Unauthorized
from minikube.kit.backoff import Backoff
from minikube.kit.clock import Clock
from minikube.kit.files import write_private
from minikube.kit.inotify import stirring
from minikube.node.join import CLIENT_SIGNER, SERVING_SIGNER, Refused, cas_in, obtain
from minikube.pki.certificates import Pair, due, ensure_key, load, renewal, until_renewal
from minikube.pki.node import GROUP, PREFIX, NodePki
from minikube.pki.requests import make_request
from minikube.pki.rotation import ROTATE
from minikube.settings import SettingsError
from minikube.transport.client import client_context

log = logging.getLogger(__name__)

LOOK_EVERY, RETRY_EVERY, REJOIN_AT_MOST = 60.0, 10.0, 600.0
"""The first is for clocks that are set; what is due, asked for or refused is known at once."""
Rejoin = Callable[[], Awaitable[None]]
"""Gets a client certificate without having a good one. Raises SettingsError: there is no way."""


class NodeCertificates:
    """`client` gets a new TLS context whenever its certificate or the server's CAs have changed."""

    def __init__(
        self, client: HttpClient, informers: Informers, pki: NodePki, name: str, clock: Clock, rejoin: Rejoin
    ) -> None:
        self._client, self._pki, self._name, self._clock = client, pki, name, clock
        self._rejoin = rejoin
        self._changed = asyncio.Event()
        self._node = informers.of(Node, fields=f"metadata.name={name}")
        self._info = informers.of(ConfigMap, namespace=INFO_NAMESPACE, fields=f"metadata.name={CLUSTER_INFO}")
        self._clients = informers.of(ConfigMap, namespace="kube-system", fields=f"metadata.name={CLIENT_CA}")
        self._node.add_handler(self._wake)
        self._info.add_handler(self._wake)
        self._clients.add_handler(self._wake)
        client.when_unauthorized = self._changed.set
        self.served = asyncio.Event()
        """There is a serving certificate."""
        self.renewed: list[Callable[[], None]] = []
        """Called whenever the serving certificate or the CA of clients has changed."""

    def _wake(self, old: object, new: object) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled. Raises OSError: the directory of the certificates cannot be watched."""
        with stirring(self._pki.client.certificate.parent, self._changed, only=ROTATE):
            await self._follow()

    async def _follow(self) -> None:
        refused = Backoff[str](base=RETRY_EVERY, limit=REJOIN_AT_MOST)
        while True:
            self._changed.clear()
            try:
                await self._survive_the_end()
                if self._client.unauthorized:
                    raise Unauthorized
                refused.forget("")
                await self._take_cas()
                await self._renew_client()
                await self._renew_serving()
                self._obeyed()
                pause = min(LOOK_EVERY, until_renewal((self._pki.client, self._pki.serving), self._clock.now()))
            except Unauthorized as error:
                log.error(
                    "the server does not accept this node's certificate any more (%s): it was revoked, or the name "
                    "%s was given to another machine; pods here keep running", error.message, self._name,
                )  # fmt: skip
                pause = await self._join_again(refused.next(""))
            except (ApiError, Refused, SettingsError) as error:
                log.warning("no new certificate for this node yet: %s", error)
                pause = RETRY_EVERY
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _survive_the_end(self) -> None:
        """A certificate that ended (the machine slept, no server was there) renews nothing: join once more."""
        certificate = load(self._pki.client)
        if certificate is None or self._clock.now() >= certificate.not_valid_after_utc:
            await self._rejoin()
            await self._reconnect()

    async def _join_again(self, pause: float) -> float:
        """With the token, as a new machine would: the name may be free again. Seconds until the next look."""
        try:
            await self._rejoin()
        except (ApiError, SettingsError) as error:
            log.error("%s", error)
            return pause
        await self._reconnect()
        return 0.0

    async def _take_cas(self) -> None:
        found = self._clients.lister.get(CLIENT_CA, "kube-system")
        clients = found.data.get("client-ca-file", "").encode() if found is not None else b""
        if clients and _replace(self._pki.client_ca, clients):
            self._tell()
        info = self._info.lister.get(CLUSTER_INFO, INFO_NAMESPACE)
        server = cas_in(info) if info is not None else b""
        if server and _replace(self._pki.server_ca, server):
            log.info("the server's CAs have changed")
            await self._reconnect()

    async def _renew_client(self) -> None:
        if self._due(self._pki.client, self._pki.client_ca, ()):
            await self._obtain(self._pki.client, (), CLIENT_SIGNER, "client auth")
            await self._reconnect()

    async def _renew_serving(self) -> None:
        node = self._node.lister.get(self._name)
        if node is None or not node.status.addresses:
            return
        names = list(dict.fromkeys([self._name, *(each.address for each in node.status.addresses)]))
        if self._due(self._pki.serving, self._pki.server_ca, names):
            await self._obtain(self._pki.serving, names, SERVING_SIGNER, "server auth")
            self._tell()
        self.served.set()

    def _due(self, pair: Pair, ca: Path, names: Sequence[str]) -> bool:
        if not ca.exists():
            return False
        return self._asked(pair) or due(pair, ca.read_bytes(), names, self._clock.now())

    def _asked(self, pair: Pair) -> bool:
        """Somebody wants a new one (`minikube certificate rotate`), and this one is older than the wish."""
        asked = pair.certificate.with_name(ROTATE)
        if not asked.exists() or not pair.certificate.exists():
            return False
        return pair.certificate.stat().st_mtime < asked.stat().st_mtime

    def _obeyed(self) -> None:
        self._pki.client.certificate.with_name(ROTATE).unlink(missing_ok=True)

    async def _obtain(self, pair: Pair, names: Sequence[str], signer: str, usage: str) -> None:
        key = ensure_key(pair.key)
        pem = make_request(key, common_name=PREFIX + self._name, groups=[GROUP], names=names)
        issued = await obtain(self._client, pem, signer, ("digital signature", usage), self._clock)
        write_private(pair.certificate, issued, 0o644)
        certificate = load(pair)
        assert certificate is not None
        log.info("%s is new, to be renewed at %s", pair.certificate.name, renewal(certificate))

    async def _reconnect(self) -> None:
        pki = self._pki
        await self._client.renew(client_context(pki.server_ca, pki.client.certificate, pki.client.key))

    def _tell(self) -> None:
        for tell in self.renewed:
            tell()


def _replace(path: Path, pem: bytes) -> bool:
    """Whether that was news."""
    if path.exists() and path.read_bytes() == pem:
        return False
    write_private(path, pem, 0o644)
    return True
