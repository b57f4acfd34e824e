"""All credentials of a server: its CAs, its certificate, the administrator's, the join token."""

from __future__ import annotations

import base64
import ipaddress
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import yaml

from minikube.kit.files import write_private
from minikube.pki.certificates import Pair, ensure_ca, ensure_key, ensure_leaf, traditional
from minikube.pki.join_token import (
    JoinToken,
    ca_hash,
    new_bootstrap_token,
    parse_bootstrap_token,
    parse_join_token,
)
from minikube.pki.node import GROUP, PREFIX, NodePki, node_pki
from minikube.pki.rotation import CAS, PROXY_CA, cross_certificate, finish_interrupted
from minikube.settings import Settings, SettingsError

OWN_TOKEN = "node-token"
MASTERS = "system:masters"
PROXY_NAME = "system:auth-proxy"


class ServerPki(msgspec.Struct, frozen=True):
    server_ca: Pair
    client_ca: Pair
    server: Pair
    admin: Pair
    kubelet_client: Pair
    proxy_ca: Pair
    """Of front proxies: extension API servers believe whoever it has signed."""
    proxy_client: Pair
    """Ours towards them."""
    service_account_key: Path
    node_token: JoinToken


def ensure_server_pki(settings: Settings, addresses: Sequence[str]) -> ServerPki:
    """Everything that is missing is made; what is there stays. `addresses` are this machine's own."""
    directory = settings.tls_dir
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in CAS:
        finish_interrupted(directory, name)
    server_ca = ensure_ca(directory, "server-ca")
    client_ca = ensure_ca(directory, "client-ca")
    lifetime = timedelta(seconds=settings.certificate_seconds)
    service_account_key = directory / "service-account.key"
    ensure_key(service_account_key)
    server = ensure_leaf(
        server_pair(settings),
        server_ca,
        common_name="kube-apiserver",
        names=server_names(settings, addresses),
        server=True,
        lifetime=lifetime,
        chain=cross_certificate(directory, "server-ca"),
    )
    proxy_ca = ensure_ca(directory, PROXY_CA)
    crossed = {PROXY_CA: cross_certificate(directory, PROXY_CA)}

    def client(stem: str, ca: Pair, name: str, *groups: str) -> Pair:
        pair = Pair(directory / f"{stem}.crt", directory / f"{stem}.key")
        chain = crossed.get(ca.certificate.stem, b"")
        return ensure_leaf(pair, ca, common_name=name, groups=groups, client=True, lifetime=lifetime, chain=chain)

    return ServerPki(
        server_ca=server_ca,
        client_ca=client_ca,
        server=server,
        admin=client("client-admin", client_ca, "system:admin", MASTERS),
        kubelet_client=client("client-kube-apiserver", client_ca, "kube-apiserver-kubelet-client", MASTERS),
        proxy_ca=proxy_ca,
        proxy_client=client("client-auth-proxy", proxy_ca, PROXY_NAME),
        service_account_key=service_account_key,
        node_token=_ensure_token(settings, server_ca),
    )


def server_pair(settings: Settings) -> Pair:
    """What the API server shows."""
    return Pair(settings.tls_dir / "serving-kube-apiserver.crt", settings.tls_dir / "serving-kube-apiserver.key")


def ensure_own_node(settings: Settings, pki: ServerPki, name: str) -> NodePki:
    """The client certificate of the node that runs inside this server; everything else it asks for as any node."""
    node = node_pki(settings)
    if not node.server_ca.exists() or node.server_ca.read_bytes() != pki.server_ca.pem:
        write_private(node.server_ca, pki.server_ca.pem, 0o644)
    ensure_leaf(
        node.client,
        pki.client_ca,
        common_name=PREFIX + name,
        groups=[GROUP],
        client=True,
        lifetime=timedelta(seconds=settings.certificate_seconds),
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
                    "client-key-data": inline(traditional(pki.admin.key.read_bytes())),
                },
            }
        ],
        "contexts": [{"name": "minikube", "context": {"cluster": "minikube", "user": "admin"}}],
        "current-context": "minikube",
    }
    text = yaml.safe_dump(config, sort_keys=False).encode()
    if not path.exists() or path.read_bytes() != text:
        write_private(path, text)


def _ensure_token(settings: Settings, ca: Pair) -> JoinToken:
    """The server's own join token, kept in server/node-token; its secret outlives a change of the CA."""
    path = settings.server_dir / OWN_TOKEN
    secret = parse_bootstrap_token(settings.token)
    if settings.token and secret is None:
        raise SettingsError("--token of a server is <6 characters>.<16 characters> of a-z and 0-9")
    if secret is None and path.exists():
        try:
            secret = parse_join_token(path.read_text()).bootstrap
        except ValueError as error:
            raise SettingsError(f"{path}: {error}; remove the file to get a new token") from error
    token = JoinToken(ca_hash(ca.pem), secret or new_bootstrap_token())
    if not path.exists() or path.read_text().strip() != str(token):
        write_private(path, f"{token}\n".encode())
    return token
