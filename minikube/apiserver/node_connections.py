"""Which connections a node's certificate opened, so that they end when the certificate stops being good."""

from __future__ import annotations

import asyncio

from aiohttp import web

from minikube.api.core_v1 import Secret
from minikube.auth.base import User
from minikube.auth.node_identity import node_of as node_of_record
from minikube.auth.node_names import node_of
from minikube.client.base import Informers


class NodeConnections:
    def __init__(self, informers: Informers) -> None:
        self._open: dict[str, set[asyncio.Transport]] = {}
        informers.of(Secret).add_handler(self._changed)

    def note(self, user: User, request: web.BaseRequest) -> None:
        """This connection has shown the certificate of that user."""
        node, transport = node_of(user), request.transport
        if not node or transport is None:
            return
        known = self._open.setdefault(node, set())
        if transport not in known:
            known -= {each for each in known if each.is_closing()}
            known.add(transport)

    def _changed(self, old: Secret | None, new: Secret | None) -> None:
        """Another key, or none: what the old one opened is closed, watches and parked connections too."""
        if old is None or (new is not None and new.data.get("key") == old.data.get("key")):
            return
        node = node_of_record(old)
        for transport in self._open.pop(node, ()) if node else ():
            transport.abort()
