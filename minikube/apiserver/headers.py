"""What a request's headers say of who asks, and of whom he wants to be."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from minikube.auth.base import User
from minikube.auth.impersonation import Impersonation

Headers = CIMultiDictProxy[str]
BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io."


def bearer_of(headers: Headers) -> str:
    """From Authorization, or from the WebSocket subprotocol that browsers use instead."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return told(token.strip())
    for protocol in headers.get("Sec-WebSocket-Protocol", "").split(","):
        encoded = protocol.strip()
        if encoded.startswith(BEARER_PROTOCOL):
            return _decoded(encoded[len(BEARER_PROTOCOL) :])
    return ""


def _decoded(text: str) -> str:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "undecodable"


def impersonation_of(headers: Headers) -> Impersonation:
    return Impersonation(
        told(headers.get("Impersonate-User", "")),
        told(headers.get("Impersonate-Uid", "")),
        tuple(told(group) for group in headers.getall("Impersonate-Group", [])),
        _extra(headers, "impersonate-extra-"),
    )


def remote_of(headers: Headers) -> User | None:
    """Whom a front proxy says it speaks for."""
    name = told(headers.get("X-Remote-User", ""))
    if not name:
        return None
    groups = tuple(told(group) for group in headers.getall("X-Remote-Group", []))
    return User(name, told(headers.get("X-Remote-Uid", "")), groups, _extra(headers, "x-remote-extra-"))


def _extra(headers: Headers, prefix: str) -> dict[str, tuple[str, ...]]:
    """Of the headers whose names begin with this (in lower case), by the rest of the name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers.items():
        if name.lower().startswith(prefix):
            key = unquote(told(name.lower()[len(prefix) :]))
            found[key] = (*found.get(key, ()), told(value))
    return found


def told(value: str) -> str:
    """A header's value as text that can be written down: bytes that are no UTF-8 are replaced."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def upgrades(headers: Headers) -> bool:
    """Whether the client wants to speak something else than HTTP from here on."""
    return "upgrade" in headers.get("Connection", "").lower() and "Upgrade" in headers
