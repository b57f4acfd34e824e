"""Subresources that are not plain storage: bindings, tokens, namespace finalization."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from minikube.admission.base import Attributes
from minikube.api.authentication_v1 import TokenRequest
from minikube.api.core_v1 import ServiceAccount
from minikube.api.meta import from_dict, to_dict
from minikube.apiserver import views
from minikube.apiserver.answers import answer, offered
from minikube.apiserver.negotiation import STATUS
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.requests import read_shaped
from minikube.apiserver.server import Subresource
from minikube.auth.base import User
from minikube.auth.token_requests import TokenRequests
from minikube.client.base import PatchType
from minikube.errors import BadRequest, NotFound
from minikube.registry.binding import bind
from minikube.registry.eviction import evict
from minikube.registry.registry import StoreRegistry
from minikube.resources.subresources import BINDING, EVICTION, TOKEN_REQUEST
from minikube.settings import Settings

DONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
OLD_EVICTION = "policy/v1beta1"
"""What drains of old clients still send."""


class Subresources:
    def __init__(self, registry: StoreRegistry, tokens: TokenRequests, settings: Settings) -> None:
        self._registry = registry
        self._tokens = tokens
        self._settings = settings

    def table(self) -> dict[str, Subresource]:
        return {
            "pods/binding": self.binding,
            "pods/eviction": self.eviction,
            "serviceaccounts/token": self.token,
            "namespaces/finalize": self.finalize,
        }

    async def binding(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        offer = offered(request)
        how, body = await read_shaped(request, BINDING, user)
        await bind(self._registry, info.namespace, info.name, body, how)
        return answer(views.plain(DONE, STATUS, offer), offer, status=201)

    async def eviction(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        offer = offered(request)
        how, body = await read_shaped(request, EVICTION, user, also=(OLD_EVICTION,))
        await evict(self._registry, info.namespace, info.name, body, how)
        return answer(views.plain(DONE, STATUS, offer), offer, status=201)

    async def token(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        offer = offered(request)
        how, body = await read_shaped(request, TOKEN_REQUEST, user)
        token_request(body)  # whoever admits it may rely on its shape
        asked = Attributes(
            "CREATE",
            ServiceAccount.resource,
            "token",
            info.namespace,
            info.name,
            body,
            None,
            user,
            dry_run=how.dry_run,
            warnings=how.warnings,
            annotations=how.annotations,
        )
        await self._registry.admission.mutate(asked)
        await self._registry.admission.validate(asked)
        answered = await self.issue(info.namespace, info.name, body)
        return answer(views.plain(answered, TOKEN_REQUEST.definition, offer), offer, status=201)

    async def issue(self, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answered TokenRequest."""
        given = (body.get("metadata") or {}).get("name") or name
        if given != name:
            raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")
        return to_dict(self._tokens.issue(namespace, name, token_request(body)))

    async def finalize(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        kind = self._registry.find("", "v1", "namespaces")
        if kind is None:
            raise NotFound.path()
        offer = offered(request)
        how, body = await read_shaped(request, kind, user)
        finalizers = (body.get("spec") or {}).get("finalizers") or None
        patch = {"spec": {"finalizers": finalizers}}
        written = await self._registry.patch(
            kind, "", info.name, patch, PatchType.MERGE, how, subresource="finalize"
        )
        return answer(views.plain(written.object.tree(kind), kind.definition, offer), offer)


def token_request(body: dict[str, Any]) -> TokenRequest:
    """Raises BadRequest."""
    try:
        return from_dict(TokenRequest, body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from error
