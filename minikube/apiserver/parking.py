"""Where agents park their connections: `GET /minikube/v1/nodes/{name}/connection`."""

from __future__ import annotations

import logging
import re

from aiohttp import web

from minikube.auth.base import User
from minikube.auth.node_names import node_of
from minikube.errors import BadRequest, Forbidden
from minikube.transport.hijack import Hijacked, hijack
from minikube.transport.parking import SEEN_FROM, UPGRADE, Nodes

log = logging.getLogger(__name__)

_PATH = re.compile(r"/minikube/v1/nodes/([a-z0-9.-]+)/connection")


def node_parked_at(path: str) -> str:
    """The node that a connection at this path is of; empty: it is another path."""
    found = _PATH.fullmatch(path)
    return found[1] if found else ""


async def park(request: web.BaseRequest, user: User, nodes: Nodes) -> web.StreamResponse:
    """Keep the connection until somebody needs it. Raises Forbidden: a node parks only for itself."""
    node = node_parked_at(request.path)
    if node_of(user) != node:
        raise Forbidden(f'forbidden: User "{user.name}" is not node "{node}"')
    if request.headers.get("Upgrade", "") != UPGRADE:
        raise BadRequest("Upgrade request required")
    stream = hijack(request, {"Connection": "Upgrade", "Upgrade": UPGRADE, SEEN_FROM: request.remote or ""})
    nodes.park(node, stream)
    await stream.wait_closed()
    return Hijacked()
