"""Keeps a running server's certificates good: issued again in time, or when somebody asks or changes a CA.

`minikube certificate` works on the files; this notices within two seconds, tells the listener, and publishes the
CAs to pods (kube-root-ca.crt in every namespace), joining machines (cluster-info) and nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from minikube.api.core_v1 import ConfigMap
from minikube.auth.join_roles import CLUSTER_INFO, INFO_NAMESPACE
from minikube.client.base import Client, Informers
from minikube.controllers.joining import publish_authentication
from minikube.kit.clock import Clock
from minikube.kit.inotify import stirring
from minikube.pki.certificates import Pair, load, renewal, until_renewal
from minikube.pki.rotation import ROTATE, clock_problem
from minikube.pki.server import ServerPki, ensure_server_pki, write_kubeconfig
from minikube.settings import Settings

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""For clocks that are set; what is due or asked for is known at once."""
SETTLE = 1.0
"""Seconds in which whoever changes several files is done with it."""
PATIENCE = 30
"""Seconds that a clock which is merely older than our own data is waited for."""
ROOT_CA = "kube-root-ca.crt"


class ServerCertificates:
    """`changed` is called after a certificate or CA file has changed: the listener reads them again."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        settings: Settings,
        pki: ServerPki,
        addresses: Sequence[str],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._client, self._settings, self._pki, self._clock = client, settings, pki, clock
        self._maps = informers.of(ConfigMap).lister
        self._addresses, self._changed = addresses, changed
        self._seen: tuple[int, ...] = self._files()
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Raises OSError: the directory of the certificates cannot be watched."""
        with stirring(self._settings.tls_dir, self._stirred):
            while True:
                await asyncio.to_thread(self._obey)
                if self._files() != self._seen or self._due():
                    await self.renew()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_EVERY, until_renewal(self._pairs(), self._clock.now()))):
                        await self._stirred.wait()
                await self._clock.sleep(SETTLE)
                self._stirred.clear()

    def moved(self, addresses: Sequence[str]) -> None:
        """This machine has other addresses now: the API is to have a certificate for them."""
        self._addresses, self._seen = addresses, ()
        self._stirred.set()

    async def renew(self) -> None:
        """Issue what is due, then tell everybody what has changed."""
        pki = self._pki
        await asyncio.to_thread(ensure_server_pki, self._settings, self._addresses)
        write_kubeconfig(self._settings.write_kubeconfig, pki, self._settings.https_listen_port)
        self._changed()
        await self._publish(pki.server_ca.pem.decode())
        await publish_authentication(self._client, self._settings)
        self._seen = self._files()
        log.info("the server's certificates are renewed")

    async def _publish(self, ca: str) -> None:
        for each in self._maps.list():
            meta = each.metadata
            if meta.name == ROOT_CA and each.data.get("ca.crt") != ca:
                await self._client.patch(ConfigMap, meta.name, meta.namespace, patch={"data": {"ca.crt": ca}})
        info = self._maps.get(CLUSTER_INFO, INFO_NAMESPACE)
        if info is not None:  # its controller writes it anew
            await self._client.patch(ConfigMap, CLUSTER_INFO, INFO_NAMESPACE, patch={"data": {"kubeconfig": None}})

    def _leaves(self) -> Sequence[Path]:
        return [pair.certificate for pair in self._pairs()]

    def _pairs(self) -> Sequence[Pair]:
        return (self._pki.server, self._pki.admin, self._pki.kubelet_client, self._pki.proxy_client)

    def _obey(self) -> None:
        """Somebody asks for new certificates: the present ones go, keys stay."""
        asked = self._settings.tls_dir / ROTATE
        if asked.exists():
            for each in self._leaves():
                each.unlink(missing_ok=True)
            asked.unlink()

    def _due(self) -> bool:
        now = self._clock.now()
        found = [load(pair) for pair in self._pairs()]
        return any(each is None or not each.not_valid_before_utc <= now < renewal(each) for each in found)

    def _files(self) -> tuple[int, ...]:
        """Changes when a certificate does."""
        authorities = (self._pki.server_ca, self._pki.client_ca, self._pki.proxy_ca)
        paths = [*self._leaves(), *(each.certificate for each in authorities)]
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


async def right_clock(settings: Settings, clock: Clock) -> None:
    """Wait while this machine's clock cannot be right, and say so; give up waiting when certificates are valid."""
    ca, state = settings.tls_dir / "server-ca.crt", settings.server_dir / "state.db"
    if not ca.exists():
        return
    written = datetime.fromtimestamp(state.stat().st_mtime if state.exists() else 0, UTC)
    for waited in itertools.count():
        now = clock.now()
        problem = clock_problem(now, ca.read_bytes(), written)
        if not problem:
            return
        if waited == PATIENCE and not clock_problem(now, ca.read_bytes(), now):
            log.warning("%s; going on all the same", problem)
            return
        if waited % 60 == 0:
            log.error("%s: waiting for the clock to be set", problem)
        await clock.sleep(1)
