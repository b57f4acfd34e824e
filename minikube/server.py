"""Composition root of a server: builds every part and runs them in one TaskGroup."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from minikube.admission.chain import Chain
from minikube.admission.plugins import plugins
from minikube.admission.policies.mutating import MutatingPolicies
from minikube.admission.policies.plugin import ValidatingPolicies
from minikube.admission.policies.type_checking import expression_warnings
from minikube.admission.quota.reservations import Reservations
from minikube.admission.webhooks.plugins import MutatingWebhooks, ValidatingWebhooks
from minikube.agent import check_node, follow_address, launch_runtime, run_node
from minikube.api.core_v1 import Secret
from minikube.apiserver.aggregation import Aggregation
from minikube.apiserver.encryption import ENCRYPTION, encryption_document
from minikube.apiserver.flow_matching import FlowSchemas
from minikube.apiserver.health import Health, HealthError, ping
from minikube.apiserver.metrics import Metrics
from minikube.apiserver.node_connections import NodeConnections
from minikube.apiserver.openid import openid_documents
from minikube.apiserver.proxy import Proxy
from minikube.apiserver.remote_apis import RemoteApis
from minikube.apiserver.reviews import Reviews
from minikube.apiserver.server import ApiServer, Document
from minikube.apiserver.service_sessions import ServiceSessions
from minikube.apiserver.services import Services
from minikube.apiserver.streams import Streams
from minikube.apiserver.subresources import Subresources
from minikube.apiserver.webhook_calls import WebhookCalls
from minikube.auth.base import MASTERS, User
from minikube.auth.bootstrap_roles import NODE
from minikube.auth.bootstrap_tokens import BootstrapTokens
from minikube.auth.certificates import CertificateAuthenticator
from minikube.auth.configured import configured_tokens, front_proxies
from minikube.auth.discovery import KEYS
from minikube.auth.legacy_tokens import LegacyTokens
from minikube.auth.node_authorizer import NodeAuthorizer
from minikube.auth.node_certificates import NodeCertificates
from minikube.auth.rbac import RbacAuthorizer
from minikube.auth.role_reconciliation import ensure_bootstrap_roles
from minikube.auth.token_requests import TokenRequests
from minikube.auth.tokens import ServiceAccountTokens
from minikube.auth.union import UnionAuthenticator
from minikube.auth.union_authorizer import UnionAuthorizer
from minikube.client.http import HttpClient
from minikube.client.recorder import Recorder
from minikube.controllers.all import CONTROLLERS
from minikube.controllers.api_services import ensure_api_services
from minikube.controllers.base import Context
from minikube.controllers.bootstrap import ensure_bootstrap
from minikube.controllers.flow_control import ensure_flow_control
from minikube.controllers.garbage import GarbageCollector
from minikube.controllers.identities import manager_of, user_of
from minikube.controllers.joining import bind_node, ensure_joining
from minikube.controllers.runner import Runner
from minikube.controllers.server_certificates import ServerCertificates, right_clock
from minikube.kit import memory
from minikube.kit.clock import SYSTEM
from minikube.kit.keeper import Keeper
from minikube.kit.tasks import guard, until_signalled
from minikube.pki.node import NodePki
from minikube.pki.server import ServerPki, ensure_own_node, ensure_server_pki, write_kubeconfig
from minikube.pki.signing_keys import SigningKeys
from minikube.registry.custom import CustomResources
from minikube.registry.informers import LocalInformers
from minikube.registry.keys import bucket_of
from minikube.registry.local import LocalClient
from minikube.registry.parameters import CachedParameters
from minikube.registry.registry import StoreRegistry
from minikube.resources.all import ALL
from minikube.scheduler.scheduler import NAME as SCHEDULER
from minikube.scheduler.scheduler import Scheduler
from minikube.settings import Settings, SettingsError
from minikube.store.encryption import Encryption
from minikube.store.errors import StoreError
from minikube.store.sql import SqlStore
from minikube.transport.client import address_towards, client_context
from minikube.transport.parking import Nodes

log = logging.getLogger(__name__)

HOOKS = (
    "bootstrap-controller", "kube-apiserver-autoregistration", "priority-and-fairness-config-producer",
    "rbac/bootstrap-roles",
)  # fmt: skip
"""What has to be done once after the start for the API to be ready, as kube-apiserver names it."""
SOCKETS_ASKED_WITHIN = 60.0

ENCRYPTED = (bucket_of(Secret.resource),)
"""What is encrypted at rest once that is switched on."""


class Server:
    """The parts of a running server; `opened` makes one, `run` works until cancelled."""

    def __init__(
        self, settings: Settings, encryption: Encryption, pki: ServerPki, address: str, keeper: Keeper
    ) -> None:
        self.keeper = keeper
        self.settings = settings
        self.pki = pki
        self.address = address
        self._encryption = encryption
        self._store = encryption.store
        self.registry = StoreRegistry(encryption.store, ALL, settings=settings)
        self.informers = LocalInformers(self.registry)
        self.nodes = Nodes()
        self._reservations = Reservations()

    async def start(self) -> None:
        """Load the state and build what answers requests: who asks, may they, what becomes of it, the API."""
        await self.registry.start()
        self.custom = CustomResources(self.registry)
        self.custom.start()
        client = self._master()
        rbac = RbacAuthorizer(self.informers)
        authorizer = UnionAuthorizer((NodeAuthorizer(self.informers, NODE), rbac))
        sessions = ServiceSessions(Services(self.informers), self.nodes)
        admission = self._admission(rbac, authorizer, WebhookCalls(sessions), client)
        self.registry.use_admission(admission)
        issuer = f"https://kubernetes.default.svc.{self.settings.cluster_domain}"
        keys = SigningKeys(self.pki.service_account_key)
        tokens = ServiceAccountTokens(keys, self.informers, SYSTEM, issuer=issuer)
        authenticator = self._authenticator(keys, tokens, client)
        subresources = Subresources(self.registry, TokenRequests(tokens, self.informers, SYSTEM), self.settings)
        self.registry.subresources["serviceaccounts", "token"] = subresources.issue
        reviews = Reviews(authenticator, authorizer, rbac, issuer)
        self.registry.subresources["subjectaccessreviews", ""] = reviews.answer_access
        metrics = Metrics(self.informers, self.nodes)
        self.health = Health(
            {"ping": ping, "etcd": self._store_answers}, {"informer-sync": self._cache_caught_up}, HOOKS
        )
        self.apis = RemoteApis(self.informers, client, sessions, self.pki.proxy_client, SYSTEM)
        aggregation = Aggregation(self.apis, metrics.raw)
        self.registry.raw = aggregation.raw
        self.api = ApiServer(
            self.registry,
            self.settings,
            self.pki,
            authenticator,
            authorizer,
            SYSTEM,
            address=self.address,
            keeper=self.keeper,
            connections=NodeConnections(self.informers),
            health=self.health,
            subresources={
                **subresources.table(),
                **reviews.table(),
                **Streams(self.informers, self.nodes, authorizer, admission).table(),
                **Proxy(self.informers, self.nodes, admission).table(),
            },
            nodes=self.nodes,
            metrics=metrics,
            elsewhere=aggregation,
            schemas=FlowSchemas(self.informers),
            documents=self._documents(keys, issuer),
        )

    def _admission(
        self, rbac: RbacAuthorizer, authorizer: UnionAuthorizer, calls: WebhookCalls, client: LocalClient
    ) -> Chain:
        """The plugins in order; those that somebody else writes (policies and webhooks) come last."""
        self.registry.converting.caller = calls
        asked = (self.informers, calls, self.registry, authorizer)
        judging = (self.informers, CachedParameters(self.registry), self.registry, authorizer)
        foreign = (
            MutatingPolicies(*judging, self.registry.structure_of),
            MutatingWebhooks(*asked),
            ValidatingPolicies(*judging),
            ValidatingWebhooks(*asked),
        )
        return Chain(plugins(self.informers, rbac, client, SYSTEM, self.settings, foreign, self._reservations))

    def _documents(self, keys: SigningKeys, issuer: str) -> dict[str, Document]:
        """What is served beside the API: path -> document."""
        return {
            **openid_documents(keys, issuer, f"https://{self.address}:{self.settings.https_listen_port}{KEYS}"),
            ENCRYPTION: encryption_document(self._encryption),
        }

    def _authenticator(
        self, keys: SigningKeys, tokens: ServiceAccountTokens, client: LocalClient
    ) -> UnionAuthenticator:
        """Everybody who is believed; the first that knows the credentials decides."""
        secrets = self.informers.of(Secret).lister
        return UnionAuthenticator(
            (
                *front_proxies(self.settings),
                NodeCertificates(CertificateAuthenticator([self.pki.client_ca.certificate]), secrets),
                tokens,
                LegacyTokens(keys, self.informers, client, SYSTEM, audience=tokens.issuer),
                BootstrapTokens(secrets, SYSTEM),
                *configured_tokens(self.settings, tokens.issuer, SYSTEM),
            )
        )

    async def _store_answers(self) -> None:
        try:
            await self._store.current_revision()
        except StoreError as error:
            raise HealthError(str(error)) from error

    async def _cache_caught_up(self) -> None:
        try:
            await self.registry.caught_up()
        except StoreError as error:
            raise HealthError(str(error)) from error

    def _master(self) -> LocalClient:
        """Acts as the server itself."""
        return LocalClient(self.registry, User("system:apiserver", groups=(MASTERS,)), "kube-apiserver")

    def client(self, name: str) -> LocalClient:
        """Acts as a built-in controller's own service account."""
        return LocalClient(self.registry, user_of(name), manager_of(name))

    def _context(self, recorders: dict[str, Recorder], name: str) -> Context:
        """What the controller of this name is built from; its recorder goes into `recorders`, to be run."""
        client = self.client(name)
        events = recorders.setdefault(name, Recorder(client, name))
        return Context(
            client=client,
            informers=self.informers,
            events=events,
            clock=SYSTEM,
            settings=self.settings,
            reservations=self._reservations,
            check_types=lambda policy: expression_warnings(policy, self.registry.kinds()),
        )

    async def _own_node(self, admin: LocalClient) -> NodePki:
        """The node in this process joins without a token; its name is bound to its key like any other's."""
        name = self.settings.own_node_name
        pki = ensure_own_node(self.settings, self.pki, name)
        await bind_node(admin, name, pki.client, SYSTEM.now())
        return pki

    async def _run_node(self, admin: LocalClient, certificates: ServerCertificates) -> None:
        """The node in this process, at whatever address this machine has; the API's own address moves with it."""
        settings = self.settings
        server = f"https://{settings.bind_address or '127.0.0.1'}:{settings.https_listen_port}"

        async def rejoin() -> None:
            await self._own_node(admin)

        async def node_at(address: str) -> None:
            if address != self.address:
                self.address = address
                certificates.moved([address])
                await ensure_bootstrap(admin, settings, address)
            node = await self._own_node(admin)
            tls = client_context(node.server_ca, node.client.certificate, node.client.key)
            client = HttpClient(server, tls, user_agent="kubelet")
            dial = self.nodes.local(settings.own_node_name)
            await run_node(client, node, settings, address, self.keeper, rejoin, dial=dial)

        await follow_address(lambda: own_address(settings), node_at)

    async def run(self) -> None:
        """Everything, until cancelled."""
        admin = self._master()
        recorder = Recorder(self.client("scheduler"), SCHEDULER)
        scheduling = LocalClient(self.registry, User("system:kube-scheduler", groups=(MASTERS,)), "kube-scheduler")
        scheduler = Scheduler(scheduling, self.informers, recorder, SYSTEM)
        recorders: dict[str, Recorder] = {}
        runner = Runner(partial(self._context, recorders), CONTROLLERS)
        owners = self._context(recorders, "generic-garbage-collector")
        garbage = GarbageCollector(owners.client, self.informers, owners.events)
        certificates = ServerCertificates(
            admin, self.informers, self.settings, self.pki, [self.address], SYSTEM, self.api.reload_certificates
        )
        async with self.nodes, asyncio.TaskGroup() as tasks:
            tasks.create_task(self.registry.run(), name="registry")
            tasks.create_task(guard("encryption", self._encryption.run), name="encryption")
            tasks.create_task(guard("custom resources", self.custom.run), name="custom-resources")
            tasks.create_task(self.api.run(), name="api")
            tasks.create_task(guard("API services", self.apis.run), name="api-services")
            await self._bootstrap(admin)
            tasks.create_task(guard("scheduler", scheduler.run), name="scheduler")
            tasks.create_task(recorder.run(), name="events")
            tasks.create_task(runner.run(), name="controllers")
            tasks.create_task(guard("garbage collector", garbage.run), name="garbage-collector")
            tasks.create_task(guard("certificates", certificates.run), name="certificates")
            for name, one in recorders.items():
                tasks.create_task(one.run(), name=f"events of {name}")
            if not self.settings.disable_agent:
                await self.api.ready.wait()
                tasks.create_task(self._run_node(admin, certificates), name="node")
            self.keeper.ready()
            asyncio.get_running_loop().call_later(SOCKETS_ASKED_WITHIN, self.keeper.give_up_rest)
            memory.started()
            tasks.create_task(memory.stay_lean(SYSTEM), name="memory")

    async def _bootstrap(self, admin: LocalClient) -> None:
        """The objects that every cluster has; /readyz tells how far this is."""
        await ensure_bootstrap(admin, self.settings, self.address)
        self.health.done("bootstrap-controller")
        await ensure_api_services(admin)
        self.health.done("kube-apiserver-autoregistration")
        await ensure_flow_control(admin)
        self.health.done("priority-and-fairness-config-producer")
        await ensure_bootstrap_roles(admin)
        await ensure_joining(admin, self.pki, self.settings)
        self.health.done("rbac/bootstrap-roles")


def own_address(settings: Settings) -> str:
    """Where this machine's node, and the API for other machines and pods, is."""
    return settings.advertise_address or settings.node_ip or address_towards()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Server]:
    """A server whose state is loaded. Raises SettingsError with what to do."""
    address = own_address(settings)
    if not settings.disable_agent:
        check_node(settings)
    await right_clock(settings, SYSTEM)
    store = None
    try:
        store = await SqlStore.open(settings.server_dir / "state.db")
        encryption = Encryption(store, settings.server_dir / "encryption-keys.json", ENCRYPTED)
        await encryption.status()
    except (StoreError, OSError) as error:
        if store is not None:
            await store.close()
        raise SettingsError(f"the datastore in {settings.server_dir} cannot be opened: {error}") from error
    try:
        pki = ensure_server_pki(settings, [address])
        if not settings.disable_agent:
            await launch_runtime(settings)
        server = Server(settings, encryption, pki, address, Keeper(os.environ, os.getpid()))
        await server.start()
        write_kubeconfig(settings.write_kubeconfig, pki, settings.https_listen_port)
        yield server
    finally:
        await store.close()


async def run_server(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; stops cleanly."""
    async with opened(settings) as server:
        try:
            await until_signalled(server.run())
        except BaseExceptionGroup as group:
            refused, _ = group.split(OSError)
            if refused is None:
                raise
            raise SettingsError("; ".join(str(error) for error in _leaves(refused))) from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
