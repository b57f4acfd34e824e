"""The objects that every cluster has: system namespaces, the kubernetes and kube-dns Services, priority
and storage classes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from minikube.api.core_v1 import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Namespace,
    Service,
    ServicePort,
    ServiceSpec,
)
from minikube.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from minikube.api.discovery_v1 import EndpointPort as SlicePort
from minikube.api.local_path import CLASS, PROVISIONER
from minikube.api.meta import Object, ObjectMeta
from minikube.api.scheduling_v1 import PriorityClass
from minikube.api.storage_v1 import StorageClass
from minikube.api.volumes import DEFAULT_CLASS
from minikube.api.well_known import NODE_LEASES, SERVICE_NAME
from minikube.client.base import Client
from minikube.errors import NotFound
from minikube.settings import Settings

NAMESPACES = ("default", "kube-system", "kube-public", NODE_LEASES)
PRIORITIES = (
    ("system-cluster-critical", 2000000000, "Used for system critical pods that must run in the cluster."),
    ("system-node-critical", 2000001000, "Used for system critical pods that must not be moved."),
)


def bootstrap_objects(settings: Settings, address: str) -> list[Object]:
    """In the order in which they can be created; `address` is where the API is reached."""
    return [
        *(Namespace(metadata=ObjectMeta(name=name)) for name in NAMESPACES),
        *(
            PriorityClass(metadata=ObjectMeta(name=name), value=value, description=description)
            for name, value, description in PRIORITIES
        ),
        StorageClass(
            metadata=ObjectMeta(name=CLASS, annotations={DEFAULT_CLASS: "true"}),
            provisioner=PROVISIONER,
            reclaim_policy="Delete",
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
        ),
        *_kubernetes(settings, address),
        _dns(settings),
    ]


def _kubernetes(settings: Settings, address: str) -> Iterator[Object]:
    """The Service at which pods reach the API, and where it leads: nowhere while this machine has no address."""
    port = settings.https_listen_port
    yield Service(
        metadata=_metadata({"component": "apiserver", "provider": "kubernetes"}),
        spec=ServiceSpec(
            cluster_ip=str(ipaddress.ip_network(settings.service_cidr)[1]),
            ports=(ServicePort(name="https", port=443, target_port=port, protocol="TCP"),),
            type="ClusterIP",
        ),
    )
    if ipaddress.ip_address(address).is_loopback:
        return
    yield Endpoints(
        metadata=_metadata({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        subsets=(
            EndpointSubset(
                addresses=(EndpointAddress(ip=address),),
                ports=(EndpointPort(name="https", port=port, protocol="TCP"),),
            ),
        ),
    )
    yield EndpointSlice(
        metadata=_metadata({SERVICE_NAME: "kubernetes"}),
        address_type="IPv4",
        endpoints=(Endpoint(addresses=(address,), conditions=EndpointConditions(ready=True)),),
        ports=(SlicePort(name="https", port=port, protocol="TCP"),),
    )


def _dns(settings: Settings) -> Service:
    """The name server's Service; the agents answer it themselves."""
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    return Service(
        metadata=ObjectMeta(name="kube-dns", namespace="kube-system", labels=labels),
        spec=ServiceSpec(
            cluster_ip=settings.cluster_dns,
            selector={"k8s-app": "kube-dns"},
            ports=(
                ServicePort(name="dns", port=53, protocol="UDP"),
                ServicePort(name="dns-tcp", port=53, protocol="TCP"),
            ),
        ),
    )


def _metadata(labels: Mapping[str, str]) -> ObjectMeta:
    return ObjectMeta(name="kubernetes", namespace="default", labels=labels)


async def ensure_bootstrap(client: Client, settings: Settings, address: str) -> None:
    """Create what is missing; the API's address is brought up to date."""
    for obj in bootstrap_objects(settings, address):
        try:
            await client.get(type(obj), obj.metadata.name, obj.metadata.namespace)
        except NotFound:
            await client.create(obj)
        else:
            if isinstance(obj, Endpoints | EndpointSlice):
                await client.update(obj)
