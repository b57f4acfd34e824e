"""What other kinds than pods are told, a function a kind (strategies in pkg/registry, pkg/api/*/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.core_v1 import (
    Endpoints,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
    ServiceAccount,
)
from minikube.api.discovery_v1 import EndpointSlice
from minikube.api.networking_v1 import Ingress, NetworkPolicy
from minikube.api.node_v1 import RuntimeClass
from minikube.api.storage_v1 import StorageClass
from minikube.resources.rules.invalid import at, key, quoted
from minikube.resources.warnings.addresses import address_warnings, range_warnings
from minikube.resources.warnings.common import (
    NODE_LABELS,
    STORAGE_CLASS,
    STORAGE_CLASS_INSTEAD,
    claim_warnings,
    term_warnings,
)

TOPOLOGY_HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
INGRESS_CLASS = "kubernetes.io/ingress.class"
MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
ENDPOINTS_OF = ("endpoints.kubernetes.io/managed-by", "endpoint-controller")
SLICE_OWNER = "endpointslice.kubernetes.io/managed-by"
SLICE_OWNERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
"""Our own controllers write addresses properly: nothing to look for."""
VOLUMES = (
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)


def service_warnings(service: Service) -> Iterator[str]:
    spec = service.spec
    if TOPOLOGY_HINTS in service.metadata.annotations:
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    headless = spec.type == "ClusterIP" and spec.cluster_ip == "None"
    external = spec.type == "ExternalName"
    for index, address in enumerate(spec.cluster_ips):
        yield from address_warnings(address, at("spec.clusterIPs", index))
    if headless:
        if spec.load_balancer_ip:
            yield "spec.loadBalancerIP is ignored for headless services"
        if spec.external_ips:
            yield "spec.externalIPs is ignored for headless services"
        if spec.session_affinity != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, address in enumerate(spec.external_ips):
        yield from address_warnings(address, at("spec.externalIPs", index))
    if spec.external_ips and not headless and not external:
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.load_balancer_ip:
        yield from address_warnings(spec.load_balancer_ip, "spec.loadBalancerIP")
    for index, source in enumerate(spec.load_balancer_source_ranges):
        yield from range_warnings(source, at("spec.loadBalancerSourceRanges", index))
    if external and spec.external_ips:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if not external and spec.external_name:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.traffic_distribution == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def service_status_warnings(service: Service) -> Iterator[str]:
    balancer = service.status.load_balancer
    for index, one in enumerate(balancer.ingress if balancer is not None else ()):
        if one.ip:
            yield from address_warnings(one.ip, at("status.loadBalancer.ingress", index))


def ingress_status_warnings(ingress: Ingress) -> Iterator[str]:
    balancer = ingress.status.load_balancer
    for index, one in enumerate(balancer.ingress if balancer is not None else ()):
        if one.ip:
            yield from address_warnings(one.ip, f"{at('status.loadBalancer.ingress', index)}.ip")


def pod_status_warnings(pod: Pod) -> Iterator[str]:
    for index, own in enumerate(pod.status.pod_ips):
        yield from address_warnings(own.ip, f"{at('status.podIPs', index)}.ip")
    for index, host in enumerate(pod.status.host_ips):
        yield from address_warnings(host.ip, f"{at('status.hostIPs', index)}.ip")


def node_warnings(node: Node) -> Iterator[str]:
    if node.spec.config_source is not None:
        yield "spec.configSource: the feature is removed"
    if node.spec.external_id:
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"
    for index, one in enumerate(node.spec.pod_cidrs):
        yield from range_warnings(one, at("spec.podCIDRs", index))


def endpoints_warnings(endpoints: Endpoints) -> Iterator[str]:
    label, controller = ENDPOINTS_OF
    if endpoints.metadata.labels.get(label) == controller:
        return
    for index, subset in enumerate(endpoints.subsets):
        path = at("subsets", index)
        for name, listed in (("addresses", subset.addresses), ("notReadyAddresses", subset.not_ready_addresses)):
            for position, one in enumerate(listed):
                yield from address_warnings(one.ip, f"{at(f'{path}.{name}', position)}.ip")


def endpoint_slice_warnings(given: EndpointSlice) -> Iterator[str]:
    if given.address_type == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"
    if given.metadata.labels.get(SLICE_OWNER) in SLICE_OWNERS:
        return
    for index, endpoint in enumerate(given.endpoints):
        for position, address in enumerate(endpoint.addresses):
            yield from address_warnings(address, at(f"{at('endpoints', index)}.addresses", position))


def ingress_warnings(ingress: Ingress) -> Iterator[str]:
    if INGRESS_CLASS in ingress.metadata.annotations and not ingress.spec.ingress_class_name:
        yield f"annotation {quoted(INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"


def network_policy_warnings(policy: NetworkPolicy) -> Iterator[str]:
    peers = [("ingress", "from", [rule.from_ for rule in policy.spec.ingress])]
    peers.append(("egress", "to", [rule.to for rule in policy.spec.egress]))
    for direction, side, rules in peers:
        for index, rule in enumerate(rules):
            for position, peer in enumerate(rule):
                if peer.ip_block is None:
                    continue
                where = f"{at(f'spec.{direction}', index)}.{side}"
                path = f"{at(where, position)}.ipBlock"
                yield from range_warnings(peer.ip_block.cidr, f"{path}.cidr")
                for number, hole in enumerate(peer.ip_block.except_):
                    yield from range_warnings(hole, at(f"{path}.except", number))


def service_account_warnings(new: ServiceAccount, old: ServiceAccount | None) -> Iterator[str]:
    before = old.metadata.annotations if old is not None else {}
    if MOUNTABLE in new.metadata.annotations and MOUNTABLE not in before:
        why = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        yield f"{key('metadata.annotations', MOUNTABLE)}: {why}"


def volume_claim_warnings(claim: PersistentVolumeClaim) -> Iterator[str]:
    if STORAGE_CLASS in claim.metadata.annotations:
        yield f"{key('metadata.annotations', STORAGE_CLASS)}: {STORAGE_CLASS_INSTEAD}"
    yield from claim_warnings(claim.spec, "spec")


def volume_warnings(volume: PersistentVolume) -> Iterator[str]:
    spec, annotations = volume.spec, volume.metadata.annotations
    if STORAGE_CLASS in annotations:
        yield f"{key('metadata.annotations', STORAGE_CLASS)}: {STORAGE_CLASS_INSTEAD}"
    if MOUNT_OPTIONS in annotations:
        why = 'deprecated since v1.31; use "mountOptions" attribute instead'
        yield f"{key('metadata.annotations', MOUNT_OPTIONS)}: {why}"
    if spec.persistent_volume_reclaim_policy == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
            "recommended approach is to use dynamic provisioning."
        )
    required = spec.node_affinity.required if spec.node_affinity is not None else None
    for index, term in enumerate(required.node_selector_terms if required is not None else ()):
        yield from term_warnings(term, at("spec.nodeAffinity.required.nodeSelectorTerms", index))
    for attribute, name, why in VOLUMES:
        if getattr(spec, attribute) is not None:
            yield f"spec.{name}: {why}"


def storage_class_warnings(given: StorageClass) -> Iterator[str]:
    for index, topology in enumerate(given.allowed_topologies):
        for position, one in enumerate(topology.match_label_expressions):
            if one.key in NODE_LABELS:
                path = at(f"{at('allowedTopologies', index)}.matchLabelExpressions", position)
                yield f"{path}.key: {NODE_LABELS[one.key]}"


def runtime_class_warnings(given: RuntimeClass) -> Iterator[str]:
    labels = given.scheduling.node_selector if given.scheduling is not None else {}
    for label in sorted(labels.keys() & NODE_LABELS.keys()):
        yield f"scheduling.nodeSelector: {NODE_LABELS[label]}"
