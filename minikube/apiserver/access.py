"""Who asks, as whom, and may they: the steps of every request between its headers and its handler."""

from __future__ import annotations

import base64
import binascii
import logging
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy

from minikube.apiserver.audit.trail import Trail
from minikube.apiserver.flow import is_long_running
from minikube.apiserver.node_connections import NodeConnections
from minikube.apiserver.request_info import RequestInfo
from minikube.auth.base import ANONYMOUS, Authenticator, Authorizer, Credentials, User
from minikube.auth.impersonation import Impersonation, impersonated
from minikube.auth.refusal import refused
from minikube.errors import Unauthorized
from minikube.transport.server import peer_certificate

log = logging.getLogger(__name__)

Headers = CIMultiDictProxy[str]
BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io."


class Access:
    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, connections: NodeConnections | None = None
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._connections = connections

    async def admit(self, request: web.BaseRequest, info: RequestInfo, trail: Trail | None) -> User:
        """Whom the request goes on as. Raises Unauthorized, Forbidden."""
        user = await self._user(request)
        if trail is not None:
            trail.identified(user)
        acting = impersonated(user, impersonation_of(request.headers), self._authorizer)
        action = info.action()
        decision = self._authorizer.authorize(acting, action)
        if trail is not None:
            trail.decided(acting, decision, long_running=is_long_running(info))
        if not decision.allowed:
            raise refused(acting, action, decision.reason)
        return acting

    async def _user(self, request: web.BaseRequest) -> User:
        """Whom the credentials name; anonymous without any. Raises Unauthorized, which tells no reason."""
        headers = request.headers
        credentials = Credentials(peer_certificate(request), bearer_of(headers), remote_of(headers))
        try:
            user = await self._authenticator.authenticate(credentials) or ANONYMOUS
        except Unauthorized as error:
            log.info("%s %s: %s", request.method, request.path, error.message)
            raise Unauthorized from error
        if self._connections is not None:
            self._connections.note(user, request)
        return user


def bearer_of(headers: Headers) -> str:
    """From Authorization, or from the WebSocket subprotocol that browsers use instead."""
    scheme, _, token = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for protocol in headers.get("Sec-WebSocket-Protocol", "").split(","):
        encoded = protocol.strip()
        if encoded.startswith(BEARER_PROTOCOL):
            return _decoded(encoded[len(BEARER_PROTOCOL) :])
    return ""


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "undecodable"


def impersonation_of(headers: Headers) -> Impersonation:
    return Impersonation(
        headers.get("Impersonate-User", ""),
        headers.get("Impersonate-Uid", ""),
        tuple(headers.getall("Impersonate-Group", [])),
        _extra(headers, "impersonate-extra-"),
    )


def remote_of(headers: Headers) -> User | None:
    """Whom a front proxy says it speaks for."""
    name = headers.get("X-Remote-User", "")
    if not name:
        return None
    groups = tuple(headers.getall("X-Remote-Group", []))
    return User(name, headers.get("X-Remote-Uid", ""), groups, _extra(headers, "x-remote-extra-"))


def _extra(headers: Headers, prefix: str) -> dict[str, tuple[str, ...]]:
    """Of the headers whose names begin with this (in lower case), by the rest of the name."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers.items():
        if name.lower().startswith(prefix):
            key = unquote(name.lower()[len(prefix) :])
            found[key] = (*found.get(key, ()), value)
    return found
