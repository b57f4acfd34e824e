"""What a node has of its own on disk: the server's CA, its client certificate and its serving certificate."""

from __future__ import annotations

from pathlib import Path

import msgspec

from minikube.pki.certificates import Pair
from minikube.settings import Settings

GROUP, PREFIX = "system:nodes", "system:node:"
"""Who a node is: the organization and the beginning of the common name (pkg/auth/nodeidentifier)."""


class NodePki(msgspec.Struct, frozen=True):
    server_ca: Path
    client_ca: Path
    client: Pair
    """O=system:nodes, CN=system:node:<name>"""
    serving: Pair


def node_pki(settings: Settings) -> NodePki:
    """Where the files are; they come by joining."""
    directory = settings.agent_dir / "tls"
    return NodePki(
        directory / "server-ca.crt",
        directory / "client-ca.crt",
        Pair(directory / "client-kubelet.crt", directory / "client-kubelet.key"),
        Pair(directory / "serving-kubelet.crt", directory / "serving-kubelet.key"),
    )
