"""TLS towards a server: its CA is checked, a client certificate is shown. Sockets notice a peer that is gone."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minikube.transport.interfaces import wired_address

IDLE_SECONDS, PROBE_SECONDS, PROBES = 15, 5, 3
"""A connection whose other machine vanished without a word ends after half a minute."""


def client_context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Trusts `ca` alone. `load_cert_chain` on the answer takes a renewed certificate into new connections."""
    context = ssl.create_default_context(cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def address_towards(server: str = "") -> str:
    """This machine's address on the way to a URL (default: to the world); without a way there its address on a
    wire, without that 127.0.0.1. Nothing is sent."""
    host = urlsplit(server).hostname or "192.0.2.1"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return wired_address() or "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def watchful_socket(address: tuple[Any, ...]) -> socket.socket:
    """aiohttp's socket factory, with keepalive probes and a limit for what stays unacknowledged."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    watch(made)
    return made


def watch(tcp: socket.socket) -> None:
    """Make the kernel notice that the other machine has gone; NATs keep the connection in mind, too."""
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    timeout = 1000 * (IDLE_SECONDS + PROBE_SECONDS * PROBES)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout)
