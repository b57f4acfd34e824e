"""Who may use the kubelet's port: certificates and tokens, asked about at the API server (SubjectAccessReview).

Answers are kept for a while, as the kubelet does: 5 minutes a yes, 30 seconds a no.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
from aiohttp import web

from minikube.api.authentication_v1 import TokenReview, TokenReviewSpec
from minikube.api.authorization_v1 import ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec
from minikube.auth.base import Authenticator, Credentials
from minikube.client.base import Client
from minikube.errors import Unauthorized
from minikube.kit.clock import Clock
from minikube.node.kubelet.routes import VERBS, subresources_of
from minikube.transport.server import peer_certificate

YES_SECONDS, NO_SECONDS = 300.0, 30.0
REMEMBERED = 1000


class Visitor(msgspec.Struct, frozen=True):
    name: str
    groups: tuple[str, ...] = ()


class Access:
    def __init__(self, client: Client, clock: Clock, node: str, certificates: Authenticator) -> None:
        self._client, self._clock, self._node = client, clock, node
        self._certificates = certificates
        self._known: dict[tuple[Visitor, str, str], tuple[bool, float]] = {}

    async def refusal(self, request: web.BaseRequest) -> web.Response | None:
        """None: go on. Raises ApiError when the API server cannot be asked."""
        visitor = await self._visitor(request)
        if visitor is None:
            return web.Response(status=401, text="Unauthorized")
        verb = VERBS.get(request.method, request.method.lower())
        asked: Sequence[str] = subresources_of(request.path)
        for subresource in asked:
            if await self._allowed(visitor, verb, subresource):
                return None
        text = f"Forbidden (user={visitor.name}, verb={verb}, resource=nodes, subresource(s)={list(asked)})"
        return web.Response(status=403, text=text.replace("'", ""))

    async def _visitor(self, request: web.BaseRequest) -> Visitor | None:
        with contextlib.suppress(Unauthorized):  # a token may be better
            user = await self._certificates.authenticate(Credentials(peer_certificate(request)))
            if user is not None:
                return Visitor(user.name, user.groups)
        header = request.headers.get("Authorization", "")
        if not header.startswith("Bearer "):
            return None
        review = TokenReview(spec=TokenReviewSpec(token=header.removeprefix("Bearer ").strip()))
        status = (await self._client.create(review)).status
        if status is None or not status.authenticated or status.user is None:
            return None
        return Visitor(status.user.username, tuple(status.user.groups))

    async def _allowed(self, visitor: Visitor, verb: str, subresource: str) -> bool:
        key, now = (visitor, verb, subresource), self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and now < known[1]:
            return known[0]
        attributes = ResourceAttributes(
            verb=verb, version="v1", resource="nodes", subresource=subresource, name=self._node
        )
        spec = SubjectAccessReviewSpec(user=visitor.name, groups=visitor.groups, resource_attributes=attributes)
        status = (await self._client.create(SubjectAccessReview(spec=spec))).status
        allowed = status is not None and bool(status.allowed)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[key] = (allowed, now + (YES_SECONDS if allowed else NO_SECONDS))
        return allowed
