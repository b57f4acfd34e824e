"""APIs that somebody else serves: the APIServices that name a Service, whether that answers, and what it serves.

Rules: kube-aggregator's remote available controller (conditions, their words, how often) and discovery manager.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from minikube.api.apiregistration_v1 import APIService, APIServiceCondition, ServiceReference
from minikube.api.core_v1 import Service
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.well_known import SERVICE_NAME
from minikube.apiserver.discovery import RemoteVersion
from minikube.apiserver.service_sessions import ServiceSessions
from minikube.apiserver.webhook_calls import reason, trusting
from minikube.client.base import Client, Informers
from minikube.errors import ApiError, Conflict, NotFound
from minikube.kit.clock import Clock
from minikube.pki.certificates import Pair
from minikube.schema.openapi_merge import part_of

log = logging.getLogger(__name__)

RESYNC_SECONDS = 30.0
RETRY_SECONDS = 1.0
"""How soon one that does not answer is asked again."""
ANSWER_SECONDS = 5.0
ANSWER_LIMIT = 8 * 1024 * 1024
CHECKER = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}

HEADERS = {**CHECKER, "Accept": "application/json", "User-Agent": "kube-aggregator"}
BACKEND = "http://backend"
"""Who that is, the session knows."""

Resources = Sequence[Mapping[str, Any]]


class Swagger(msgspec.Struct, frozen=True):
    """What an API's OpenAPI v2 document says of it, as of this ETag."""

    etag: str
    part: dict[str, dict[str, Any]]


class Unavailable(Exception):
    """Why an API cannot be used, as its condition says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class RemoteApis:
    """`identity` is our client certificate, of the CA that extension servers are told of."""

    def __init__(
        self, informers: Informers, client: Client, sessions: ServiceSessions, identity: Pair, clock: Clock
    ) -> None:
        self._client, self._sessions, self._identity, self._clock = client, sessions, identity, clock
        registered, services, slices = informers.of(APIService), informers.of(Service), informers.of(EndpointSlice)
        self._registered, self._services, self._slices = registered.lister, services.lister, slices.lister
        self._changed = asyncio.Event()
        self._resources: dict[str, Resources] = {}
        self._openapi: dict[str, str] = {}
        self._swagger: dict[str, Swagger] = {}
        registered.add_handler(self._on_registration)
        services.add_handler(self._on_change)
        slices.add_handler(self._on_change)

    def _on_registration(self, old: APIService | None, new: APIService | None) -> None:
        if old is None or new is None or old.spec != new.spec:
            self._changed.set()

    def _on_change(self, old: Service | EndpointSlice | None, new: Service | EndpointSlice | None) -> None:
        """Whatever changes about a service that an API is served by."""
        obj = new if new is not None else old
        assert obj is not None
        name = obj.metadata.name if isinstance(obj, Service) else obj.metadata.labels.get(SERVICE_NAME, "")
        for each in self._remote():
            reference = each.spec.service
            if reference is not None and (reference.namespace, reference.name) == (obj.metadata.namespace, name):
                self._changed.set()

    def _remote(self) -> list[APIService]:
        return [each for each in self._registered.list() if each.spec.service is not None]

    # ---- what others ask -----------------------------------------------------------------------------

    def of(self, group: str, version: str) -> APIService | None:
        """Who serves it, if not we."""
        found = self._registered.get(f"{version}.{group}")
        return found if found is not None and found.spec.service is not None else None

    def session(self, api: APIService, *, verify: bool = True) -> aiohttp.ClientSession:
        """To its service, as ourselves. Raises ValueError for a CA bundle that is none, OSError."""
        service = api.spec.service
        assert service is not None
        context = trusting(api.spec.ca_bundle if verify else "")
        if not verify or api.spec.insecure_skip_tls_verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self._identity.certificate, self._identity.key)
        return self._sessions.to(service.namespace, service.name, service.port or 443, context)

    def versions(self) -> list[RemoteVersion]:
        """For discovery: those that do not answer are listed with what they served last."""
        return [
            RemoteVersion(
                group=each.spec.group,
                version=each.spec.version,
                priority=each.spec.group_priority_minimum,
                resources=self._resources.get(each.metadata.name, ()),
                fresh=is_available(each),
            )
            for each in self._remote()
        ]

    def openapi(self) -> dict[str, str]:
        """URL of the OpenAPI v3 document by root, of those that have one."""
        return {
            f"apis/{each.spec.group}/{each.spec.version}": self._openapi[each.metadata.name]
            for each in self._remote()
            if each.metadata.name in self._openapi
        }

    def swagger(self) -> dict[str, Swagger]:
        """What is known of their OpenAPI v2 documents, by the API's name."""
        return dict(sorted(self._swagger.items()))

    # ---- whether they answer -------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep their conditions true, until cancelled."""
        while True:
            self._changed.clear()
            remote = self._remote()
            names = {each.metadata.name for each in remote}
            for name in {*self._resources, *self._openapi, *self._swagger} - names:
                for known in (self._resources, self._openapi, self._swagger):
                    known.pop(name, None)
            well = await asyncio.gather(*(self._check(each) for each in remote))
            again = RESYNC_SECONDS if all(well) else RETRY_SECONDS
            try:
                async with asyncio.timeout(again if remote else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _check(self, api: APIService) -> bool:
        try:
            await self._ask(api)
            found = condition("True", "Passed", "all checks passed")
        except Unavailable as why:
            found = condition("False", why.reason, why.message)
        try:
            await self._tell(api, found)
        except (Conflict, NotFound):
            self._changed.set()
        except ApiError as error:
            log.warning("API service %s: %s", api.metadata.name, error.message)
        return found.status == "True"

    async def _ask(self, api: APIService) -> None:
        """Its discovery document, which is kept. Raises Unavailable."""
        reference = api.spec.service
        assert reference is not None
        service = self._services.get(reference.name, reference.namespace)
        slices = [
            each
            for each in self._slices.list(reference.namespace)
            if each.metadata.labels.get(SERVICE_NAME) == reference.name
        ]
        check_endpoints(reference, service, slices)
        root = f"apis/{api.spec.group}/{api.spec.version}"
        url = f"https://{reference.name}.{reference.namespace}.svc:{reference.port or 443}"
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self.session(api, verify=False) as session:
                document = await _document(session, f"/{root}")
        except TimeoutError as error:
            raise Unavailable("FailedDiscoveryCheck", f"timed out waiting for {url}/{root}") from error
        except (aiohttp.ClientError, OSError, ValueError, ApiError) as error:
            why = error.message if isinstance(error, ApiError) else reason(error)
            said = f'failing or missing response from {url}/{root}: Get "{url}/{root}": {why}'
            raise Unavailable("FailedDiscoveryCheck", said) from error
        if document is None:
            said = f"failing or missing response from {url}/{root}: bad status from {url}/{root}"
            raise Unavailable("FailedDiscoveryCheck", said)
        self._resources[api.metadata.name] = document.get("resources") or ()
        await self._describe(api, root)

    async def _describe(self, api: APIService, root: str) -> None:
        """What its OpenAPI documents say. An API that has none, or cannot say, is available all the same."""
        name = api.metadata.name
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self.session(api, verify=False) as session:
                index = await _document(session, "/openapi/v3") or {}
                link = (index.get("paths") or {}).get(root, {}).get("serverRelativeURL", "")
                if link:
                    self._openapi[name] = link
                else:
                    self._openapi.pop(name, None)
                await self._learn(session, name, root)
        except (aiohttp.ClientError, OSError, ValueError, AttributeError, ApiError) as error:
            log.info("OpenAPI documents of API service %s: %s", name, error)

    async def _learn(self, session: aiohttp.ClientSession, name: str, root: str) -> None:
        """Its OpenAPI v2 document, unless that is what is known. Raises as `_document`."""
        known = self._swagger.get(name)
        headers = {**HEADERS, "If-None-Match": known.etag} if known is not None and known.etag else HEADERS
        async with session.get(URL(f"{BACKEND}/openapi/v2"), headers=headers, allow_redirects=False) as answer:
            if answer.status == 304:
                return
            body = await _whole(answer) if answer.status == 200 else b"{}"
            etag = answer.headers.get("ETag", "")
        part = await asyncio.to_thread(lambda: part_of(msgspec.json.decode(body, type=dict[str, Any]), root))
        if known is None or known.part != part:
            self._swagger[name] = Swagger(etag, part)

    async def _tell(self, api: APIService, found: APIServiceCondition) -> None:
        before = next((each for each in api.status.conditions if each.type == "Available"), None)
        at = self._clock.now().replace(microsecond=0)
        if before is not None and before.status == found.status and before.last_transition_time is not None:
            at = before.last_transition_time
        found = msgspec.structs.replace(found, last_transition_time=at)
        if before == found:
            return
        others = [each for each in api.status.conditions if each.type != "Available"]
        status = msgspec.structs.replace(api.status, conditions=(*others, found))
        await self._client.update(msgspec.structs.replace(api, status=status), subresource="status")


async def _document(session: aiohttp.ClientSession, path: str) -> dict[str, Any] | None:
    """None when it is not there. Raises aiohttp.ClientError, OSError, ValueError, ApiError."""
    async with session.get(URL(f"{BACKEND}{path}"), headers=HEADERS, allow_redirects=False) as answer:
        if not 200 <= answer.status < 300:
            return None
        found = msgspec.json.decode(await _whole(answer))
        return found if isinstance(found, dict) else {}


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    """Raises ValueError: it does not end."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise ValueError(f"more than {ANSWER_LIMIT} bytes")
    return bytes(body)


# ---- pure ------------------------------------------------------------------------------------------------


def condition(status: str, reason: str, message: str) -> APIServiceCondition:
    return APIServiceCondition(type="Available", status=status, reason=reason, message=message)


def is_available(api: APIService) -> bool:
    return any(each.type == "Available" and each.status == "True" for each in api.status.conditions)


def check_endpoints(reference: ServiceReference, service: Service | None, slices: Sequence[EndpointSlice]) -> None:
    """Raises Unavailable."""
    about, number = f'service/{reference.name} in "{reference.namespace}"', reference.port or 443
    if service is None:
        raise Unavailable("ServiceNotFound", f"{about} is not present")
    if service.spec.type != "ClusterIP":
        return
    port = next((each for each in service.spec.ports if each.port == number), None)
    if port is None:
        raise Unavailable("ServicePortError", f"{about} is not listening on port {number}")
    if not slices:
        raise Unavailable("EndpointsNotFound", f"cannot find endpointslices for {about}")
    for each in slices:
        ready = any(one.conditions is None or one.conditions.ready is not False for one in each.endpoints)
        if ready and any(one.name == port.name and one.port for one in each.ports):
            return
    why = f'endpointslices for {about} have no addresses with port name "{port.name}"'
    raise Unavailable("MissingEndpoints", why)
