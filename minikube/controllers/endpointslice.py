"""EndpointSlices and Endpoints of Services with a selector: which pods answer. Rules: pkg/controller/endpointslice.

Slices of at most 100 endpoints, and the legacy Endpoints object beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from minikube.api.core_v1 import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Node,
    ObjectReference,
    Pod,
    Service,
    ServicePort,
)
from minikube.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from minikube.api.discovery_v1 import EndpointPort as SlicePort
from minikube.api.meta import Key, Object, ObjectMeta
from minikube.api.owners import controller_reference
from minikube.api.well_known import SERVICE_NAME
from minikube.controllers import pods as of_pods
from minikube.controllers.base import After, Context, Watch, itself
from minikube.controllers.slices import (
    HEADLESS,
    IPV4,
    MANAGED_BY,
    Group,
    carry_out,
    plan_slices,
)
from minikube.errors import AlreadyExists, NotFound

CONTROLLER = "endpointslice-controller.k8s.io"


class Target(msgspec.Struct, frozen=True):
    """A pod behind a service and the ports it answers on there."""

    pod: Pod
    ports: tuple[SlicePort, ...]


def pod_port(pod: Pod, port: ServicePort) -> int | None:
    """The number that targetPort means in this pod; None when it has no such named port."""
    target = port.target_port
    if target is None or target in (0, ""):
        return port.port
    if isinstance(target, int):
        return target
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        for one in container.ports:
            if one.name == target and (one.protocol or "TCP") == (port.protocol or "TCP"):
                return one.container_port
    return None


def targets(service: Service, pods: Sequence[Pod]) -> list[Target]:
    """Pods with an address that have not ended, with their ports."""
    found = []
    for pod in sorted(pods, key=lambda pod: pod.metadata.name):
        if not pod.status.pod_ip or pod.status.phase in ("Succeeded", "Failed"):
            continue
        ports = []
        for port in service.spec.ports:
            number = pod_port(pod, port)
            if number is not None:
                ports.append(
                    SlicePort(
                        name=port.name, port=number, protocol=port.protocol or "TCP", app_protocol=port.app_protocol
                    )
                )
        if ports or not service.spec.ports:
            found.append(Target(pod, tuple(ports)))
    return found


def endpoint_of(pod: Pod, service: Service, zone: str) -> Endpoint:
    serving = of_pods.ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    ready = (serving and not terminating) or bool(service.spec.publish_not_ready_addresses)
    hostname = pod.spec.hostname if pod.spec.subdomain == service.metadata.name else ""
    return Endpoint(
        addresses=(pod.status.pod_ip,),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=hostname,
        node_name=pod.spec.node_name,
        zone=zone,
        target_ref=_reference(pod),
    )


def _reference(pod: Pod) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def subsets(service: Service, found: Sequence[Target]) -> tuple[EndpointSubset, ...]:
    """The same as the legacy Endpoints has it: addresses grouped by their ports."""
    groups: dict[tuple[SlicePort, ...], list[Target]] = {}
    for target in found:
        if target.pod.metadata.deletion_timestamp is None or service.spec.publish_not_ready_addresses:
            groups.setdefault(target.ports, []).append(target)
    out = []
    for ports, members in groups.items():
        addresses: dict[bool, list[EndpointAddress]] = {True: [], False: []}
        for target in members:
            pod = target.pod
            ready = of_pods.ready(pod) or bool(service.spec.publish_not_ready_addresses)
            addresses[ready].append(
                EndpointAddress(
                    ip=pod.status.pod_ip,
                    node_name=pod.spec.node_name,
                    target_ref=_reference(pod),
                    hostname=pod.spec.hostname if pod.spec.subdomain == service.metadata.name else "",
                )
            )
        out.append(
            EndpointSubset(
                addresses=tuple(addresses[True]),
                not_ready_addresses=tuple(addresses[False]),
                ports=tuple(
                    EndpointPort(name=p.name, port=p.port or 0, protocol=p.protocol, app_protocol=p.app_protocol)
                    for p in ports
                ),
            )
        )
    return tuple(out)


class EndpointSliceController:
    name: ClassVar[str] = "endpointslice-controller"
    workers: ClassVar[int] = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._services = context.informers.of(Service).lister
        self._pods = context.informers.of(Pod).lister
        self._nodes = context.informers.of(Node).lister
        self._slices = context.informers.of(EndpointSlice).lister
        self._endpoints = context.informers.of(Endpoints).lister
        self.watches = (itself(Service), Watch(Pod, self._services_of), Watch(EndpointSlice, _service_of))

    def _services_of(self, pod: Pod) -> Sequence[Key]:
        labels = pod.metadata.labels.items()
        return [
            Key(service.metadata.namespace, service.metadata.name)
            for service in self._services.list(pod.metadata.namespace)
            if service.spec.selector and service.spec.selector.items() <= labels
        ]

    async def reconcile(self, key: Key) -> After | None:
        service = self._services.get(key.name, key.namespace)
        if service is None or service.metadata.deletion_timestamp is not None:
            await self._remove(key)
            return None
        if not service.spec.selector or service.spec.type == "ExternalName":
            return None
        selector = service.spec.selector.items()
        pods = [p for p in self._pods.list(key.namespace) if selector <= p.metadata.labels.items()]
        found = targets(service, pods)
        await self._write_slices(service, found)
        await self._write_endpoints(service, found)
        return None

    async def _remove(self, key: Key) -> None:
        if self._endpoints.get(key.name, key.namespace) is not None:
            try:
                await self._client.delete(Endpoints, key.name, key.namespace)
            except NotFound:
                return

    async def _write_slices(self, service: Service, found: Sequence[Target]) -> None:
        """Pods that answer on the same ports share slices."""
        groups: dict[tuple[SlicePort, ...], list[Endpoint]] = {}
        for target in found:
            node = self._nodes.get(target.pod.spec.node_name)
            zone = node.metadata.labels.get("topology.kubernetes.io/zone", "") if node else ""
            groups.setdefault(target.ports, []).append(endpoint_of(target.pod, service, zone))
        wanted = [Group(IPV4, ports, tuple(endpoints)) for ports, endpoints in groups.items()]
        existing = [
            slice
            for slice in self._slices.by_index("owner", service.metadata.uid)
            if slice.metadata.labels.get(MANAGED_BY) == CONTROLLER and slice.metadata.deletion_timestamp is None
        ]
        todo = plan_slices(existing, wanted or [Group(IPV4)], _meta_of(service))
        await carry_out(self._client, todo)

    async def _write_endpoints(self, service: Service, found: Sequence[Target]) -> None:
        meta = service.metadata
        wanted = subsets(service, found)
        known = self._endpoints.get(meta.name, meta.namespace)
        if known is None:
            labels = {**meta.labels, "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
            made = Endpoints(
                metadata=ObjectMeta(name=meta.name, namespace=meta.namespace, labels=labels), subsets=wanted
            )
            try:
                await self._client.create(made)
            except AlreadyExists:
                return
        elif known.subsets != wanted:
            await self._client.update(msgspec.structs.replace(known, subsets=wanted))


def _meta_of(service: Service) -> ObjectMeta:
    """What every slice of a service is called and says."""
    meta = service.metadata
    labels = {**meta.labels, SERVICE_NAME: meta.name, MANAGED_BY: CONTROLLER}
    if service.spec.cluster_ip == "None":
        labels[HEADLESS] = ""
    return ObjectMeta(
        generate_name=f"{meta.name}-",
        namespace=meta.namespace,
        labels=labels,
        owner_references=(controller_reference(service),),
    )


def _service_of(slice: Object) -> Sequence[Key]:
    name = slice.metadata.labels.get(SERVICE_NAME)
    managed = slice.metadata.labels.get(MANAGED_BY) == CONTROLLER
    return [Key(slice.metadata.namespace, name)] if name and managed else []
