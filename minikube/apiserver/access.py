"""Who asks, as whom, and may they: the steps of every request between its headers and its handler."""

from __future__ import annotations

import logging

from aiohttp import web

from minikube.apiserver.audit.trail import ANNOTATIONS, Trail
from minikube.apiserver.flow import is_long_running
from minikube.apiserver.headers import bearer_of, impersonation_of, remote_of
from minikube.apiserver.node_connections import NodeConnections
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.warnings import WARNINGS
from minikube.auth.base import ANONYMOUS, Authenticator, Authorizer, Credentials, User
from minikube.auth.impersonation import impersonated
from minikube.auth.refusal import refused
from minikube.errors import Unauthorized
from minikube.transport.server import peer_certificate

log = logging.getLogger(__name__)


class Access:
    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, connections: NodeConnections | None = None
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._connections = connections

    async def admit(self, request: web.BaseRequest, info: RequestInfo, trail: Trail | None) -> User:
        """Whom the request goes on as. Raises Unauthorized, Forbidden."""
        user = await self.user(request)
        if trail is not None:
            trail.identified(user)
        action = info.action()
        acting = impersonated(user, impersonation_of(request.headers), self._authorizer, action)
        decision = self._authorizer.authorize(acting, action)
        if trail is not None:
            trail.decided(acting, decision, long_running=is_long_running(info))
        if not decision.allowed:
            raise refused(acting, action, decision.reason)
        return acting

    async def user(self, request: web.BaseRequest) -> User:
        """Whom the credentials name; anonymous without any. Raises Unauthorized, which tells no reason."""
        headers = request.headers
        credentials = Credentials(peer_certificate(request), bearer_of(headers), remote_of(headers))
        try:
            user = await self._authenticator.authenticate(credentials) or ANONYMOUS
        except Unauthorized as error:
            log.info("%s %s: %s", request.method, request.path, error.message)
            raise Unauthorized from error
        finally:
            request.get(ANNOTATIONS, {}).update(credentials.remarks.annotations)
        request.get(WARNINGS, []).extend(credentials.remarks.warnings)
        if self._connections is not None:
            self._connections.note(user, request)
        return user
