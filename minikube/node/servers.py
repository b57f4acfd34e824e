"""The servers that an agent may talk to: the one it was told, and those the kubernetes EndpointSlice names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from minikube.api.discovery_v1 import EndpointSlice
from minikube.client.base import Informers
from minikube.kit.files import write_private

log = logging.getLogger(__name__)


def urls(found: EndpointSlice) -> list[str]:
    port = found.ports[0].port if found.ports else 6443
    hosts = [address for endpoint in found.endpoints for address in endpoint.addresses]
    return [f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}" for host in hosts]


class Servers:
    """Kept in a file, so that an agent finds the others when the one it was told is gone."""

    def __init__(self, told: str, path: Path) -> None:
        self._told, self._path = told.rstrip("/"), path

    def known(self) -> Sequence[str]:
        """The one that was told comes first."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except FileNotFoundError:
            kept = []
        except (msgspec.MsgspecError, OSError) as error:
            log.warning("%s: %s", self._path, error)
            kept = []
        return list(dict.fromkeys([self._told, *kept]))

    def follow(self, informers: Informers, use: Callable[[Sequence[str]], None]) -> None:
        """Keep the file, and whoever uses it, true."""

        def changed(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
            if new is None or (new.metadata.namespace, new.metadata.name) != ("default", "kubernetes"):
                return
            before, found = list(self.known()), urls(new)
            if found and list(dict.fromkeys([self._told, *found])) != before:
                write_private(self._path, msgspec.json.encode(found))
                use(self.known())

        informers.of(EndpointSlice).add_handler(changed)
