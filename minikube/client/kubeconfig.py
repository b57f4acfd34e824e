"""A client from a kubeconfig file with inline credentials, as `minikube server` writes it."""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any

import yaml

from minikube.client.http import HttpClient
from minikube.settings import SettingsError


def client_from(path: Path) -> HttpClient:
    """Its current context. Raises SettingsError."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        tls = ssl.create_default_context(cadata=_inline(cluster, "certificate-authority-data").decode())
        chain = _inline(user, "client-certificate-data") + b"\n" + _inline(user, "client-key-data")
        server: str = cluster["server"]
    except OSError as error:
        raise SettingsError(unreadable(path, error)) from error
    except (KeyError, TypeError, ValueError, StopIteration, yaml.YAMLError) as error:
        raise SettingsError(f"{path} is no kubeconfig with inline certificates: {error!r}") from error
    _load_chain(tls, chain)
    return HttpClient(server, tls, user_agent="minikube")


def unreadable(path: Path, error: OSError) -> str:
    """What to do about a kubeconfig that cannot be read."""
    return f"{path}: {error.strerror}; run this on a server, as root"


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _inline(part: dict[str, str], field: str) -> bytes:
    return base64.b64decode(part[field])


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads files only: one in memory, that nobody else sees."""
    descriptor = os.memfd_create("client-certificate")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
