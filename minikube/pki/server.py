"""All credentials of a server: its CAs, its certificate, the administrator's, the join token."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

from minikube.pki.certificates import Pair, ensure_ca, ensure_key, ensure_leaf, write_private
from minikube.pki.node import NodePki, node_pki
from minikube.settings import Settings


class ServerPki(msgspec.Struct, frozen=True):
    server_ca: Pair
    client_ca: Pair
    server: Pair
    admin: Pair
    kubelet_client: Pair
    service_account_key: Path
    node_token: str


def ensure_server_pki(settings: Settings, addresses: Sequence[str]) -> ServerPki:
    """Everything that is missing is made; what is there stays. `addresses` are this machine's own."""
    directory = settings.tls_dir
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server_ca = ensure_ca(directory, "server-ca")
    client_ca = ensure_ca(directory, "client-ca")
    service_account_key = directory / "service-account.key"
    ensure_key(service_account_key)
    server = ensure_leaf(
        Pair(directory / "serving-kube-apiserver.crt", directory / "serving-kube-apiserver.key"),
        server_ca,
        common_name="kube-apiserver",
        names=server_names(settings, addresses),
        server=True,
    )
    admin = ensure_leaf(
        Pair(directory / "client-admin.crt", directory / "client-admin.key"),
        client_ca,
        common_name="system:admin",
        groups=["system:masters"],
        client=True,
    )
    kubelet_client = ensure_leaf(
        Pair(directory / "client-kube-apiserver.crt", directory / "client-kube-apiserver.key"),
        client_ca,
        common_name="kube-apiserver-kubelet-client",
        groups=["system:masters"],
        client=True,
    )
    token = _ensure_token(settings, server_ca)
    return ServerPki(server_ca, client_ca, server, admin, kubelet_client, service_account_key, token)


def ensure_own_node(settings: Settings, pki: ServerPki, name: str, address: str) -> NodePki:
    """The certificates of the node that runs inside this server."""
    node = node_pki(settings)
    for source, copy in ((pki.server_ca, node.server_ca), (pki.client_ca, node.client_ca)):
        if not copy.exists() or copy.read_bytes() != source.pem:
            write_private(copy, source.pem, 0o644)
    ensure_leaf(node.client, pki.client_ca, common_name=f"system:node:{name}", groups=["system:nodes"], client=True)
    ensure_leaf(
        node.serving,
        pki.server_ca,
        common_name=f"system:node:{name}",
        groups=["system:nodes"],
        names=[name, address],
        server=True,
    )
    return node


def server_names(settings: Settings, addresses: Sequence[str]) -> list[str]:
    """Every name and address that the API may be reached at."""
    domain = settings.cluster_domain
    kubernetes = str(ipaddress.ip_network(settings.service_cidr)[1])
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{domain}",
        "localhost",
        socket.gethostname(),
        kubernetes,
        "127.0.0.1",
        "::1",
        *addresses,
        *settings.tls_san,
    ]
    return list(dict.fromkeys(name for name in names if name))


def write_kubeconfig(path: Path, pki: ServerPki, port: int) -> None:
    """The administrator's kubeconfig, for this machine; mode 0600."""

    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "minikube",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority-data": inline(pki.server_ca.pem),
                },
            }
        ],
        "users": [
            {
                "name": "admin",
                "user": {
                    "client-certificate-data": inline(pki.admin.pem),
                    "client-key-data": inline(pki.admin.key.read_bytes()),
                },
            }
        ],
        "contexts": [{"name": "minikube", "context": {"cluster": "minikube", "user": "admin"}}],
        "current-context": "minikube",
    }
    text = yaml.safe_dump(config, sort_keys=False).encode()
    if not path.exists() or path.read_bytes() != text:
        write_private(path, text)


def ca_hash(pem: bytes) -> str:
    """What a join token says of the server's CA."""
    return hashlib.sha256(pem).hexdigest()


def _ensure_token(settings: Settings, ca: Pair) -> str:
    """K10<sha256 of the CA>::server:<secret>; kept in server/node-token."""
    path = settings.server_dir / "node-token"
    if path.exists() and not settings.token:
        return path.read_text().strip()
    token = f"K10{ca_hash(ca.pem)}::server:{settings.token or secrets.token_hex(16)}"
    write_private(path, token.encode() + b"\n")
    return token
