"""Subresources that are not plain storage: bindings, tokens, namespace finalization."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from minikube.admission.base import Attributes
from minikube.api.authentication_v1 import TokenRequest
from minikube.api.core_v1 import ServiceAccount
from minikube.api.meta import from_dict, to_dict
from minikube.apiserver.handlers import answer, check_kind
from minikube.apiserver.negotiation import Wanted, read_body
from minikube.apiserver.request_info import RequestInfo
from minikube.apiserver.server import Subresource
from minikube.apiserver.warnings import WARNINGS
from minikube.auth.base import User
from minikube.auth.token_requests import TokenRequests
from minikube.client.base import PatchType
from minikube.errors import BadRequest, NotFound
from minikube.registry.base import Request
from minikube.registry.binding import bind
from minikube.registry.eviction import evict
from minikube.registry.registry import StoreRegistry
from minikube.schema.clean import WrongType, clean
from minikube.schema.structure import builtin
from minikube.settings import Settings


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
        body = await _object(request, "io.k8s.api.core.v1.Binding")
        await bind(self._registry, info.namespace, info.name, body, _request(request, user))
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return answer(msgspec.json.encode(status), Wanted(), status=201)

    async def eviction(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        body = await _object(request, "io.k8s.api.policy.v1.Eviction")
        dry_run = "All" in request.query.getall("dryRun", [])
        await evict(self._registry, info.namespace, info.name, body, _request(request, user, dry_run=dry_run))
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return answer(msgspec.json.encode(status), Wanted(), status=201)

    async def token(self, request: web.BaseRequest, info: RequestInfo, user: User) -> web.StreamResponse:
        body = await _object(request, "io.k8s.api.authentication.v1.TokenRequest")
        check_kind(body, TokenRequest.resource)
        token_request(body)  # whoever admits it may rely on its shape
        asked = Attributes("CREATE", ServiceAccount.resource, "token", info.namespace, info.name, body, None, user)
        await self._registry.admission.mutate(asked)
        await self._registry.admission.validate(asked)
        answered = await self.issue(info.namespace, info.name, body)
        return answer(msgspec.json.encode(answered), Wanted(), status=201)

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
        body = await _object(request, "io.k8s.api.core.v1.Namespace")
        finalizers = (body.get("spec") or {}).get("finalizers") or None
        patch = {"spec": {"finalizers": finalizers}}
        written = await self._registry.patch(
            kind, "", info.name, patch, PatchType.MERGE, _request(request, user), subresource="finalize"
        )
        return answer(written.object.json(kind), Wanted())


def token_request(body: dict[str, Any]) -> TokenRequest:
    """Raises BadRequest."""
    try:
        return from_dict(TokenRequest, body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the object provided is unrecognized: {error}") from error


def _request(request: web.BaseRequest, user: User, *, dry_run: bool = False) -> Request:
    return Request(user=user, dry_run=dry_run, warnings=request[WARNINGS])


async def _object(request: web.BaseRequest, definition: str) -> dict[str, Any]:
    """The body in the shape of its definition. Raises BadRequest."""
    found = read_body(await request.read(), request.headers.get("Content-Type", ""), definition=definition)
    if not isinstance(found, dict):
        raise BadRequest("the object provided is unrecognized (must be an object)")
    try:
        clean(found, builtin(definition))
    except WrongType as error:
        version, kind = definition.rsplit(".", 2)[1:]
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from error
    return found
