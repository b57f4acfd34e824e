"""What ingresses, network policies, service ranges and addresses may say (pkg/apis/networking/validation)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from minikube.api.core_v1 import TypedLocalObjectReference
from minikube.api.names import (
    cidr_problems,
    ip_problems,
    label_1035_problems,
    label_problems,
    path_segment_problems,
    port_name_problems,
    port_number_problems,
    subdomain_problems,
    wildcard_subdomain_problems,
)
from minikube.api.networking_v1 import (
    HTTPIngressPath,
    Ingress,
    IngressBackend,
    IngressClass,
    IngressClassParametersReference,
    IPAddress,
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    ServiceBackendPort,
    ServiceCIDR,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.addresses import balancer_address, is_ip
from minikube.resources.rules.containers import PROTOCOLS
from minikube.resources.rules.invalid import (
    IMMUTABLE,
    at,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
    too_long,
)
from minikube.resources.rules.labelling import label_selector, port_or_name
from minikube.resources.warnings.kinds import ingress_status_warnings, ingress_warnings, network_policy_warnings

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDINGS = ("/..", "/.")
_LONGEST_CONTROLLER = 250
_CLASS = "kubernetes.io/ingress.class"


class IngressRules(Strategy[Ingress]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"loadBalancer": {}}

    def validate(self, new: Ingress, old: Ingress | None) -> Iterator[FieldError]:
        spec = new.spec
        if not spec.rules and spec.default_backend is None:
            yield invalid("spec", spec.rules, "either `defaultBackend` or `rules` must be specified")
        if spec.default_backend is not None:
            yield from _backend(spec.default_backend, "spec.defaultBackend")
        for index, rule in enumerate(spec.rules):
            where = at("spec.rules", index)
            yield from _host(rule.host, f"{where}.host")
            paths = rule.http.paths if rule.http else ()
            if rule.http is not None and not paths:
                yield required(f"{where}.http.paths")
            for number, one in enumerate(paths):
                yield from _path(one, at(f"{where}.http.paths", number))
        for index, tls in enumerate(spec.tls):
            where = at("spec.tls", index)
            for number, host in enumerate(tls.hosts):
                for why in _host_problems(host):
                    yield invalid(at(f"{where}.hosts", number), host, why)
            for why in subdomain_problems(tls.secret_name) if tls.secret_name else ():
                yield invalid(f"{where}.secretName", tls.secret_name, why)
        for why in subdomain_problems(spec.ingress_class_name) if spec.ingress_class_name else ():
            yield invalid("spec.ingressClassName", spec.ingress_class_name, why)
        annotated = new.metadata.annotations.get(_CLASS)
        if old is None and annotated is not None and annotated != (spec.ingress_class_name or annotated):
            why = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{_CLASS}", annotated, why)

    def validate_status(self, new: Ingress, old: Ingress) -> Iterator[FieldError]:
        balancer = new.status.load_balancer
        for index, one in enumerate(balancer.ingress if balancer else ()):
            yield from balancer_address(one.ip, one.hostname, at("status.loadBalancer.ingress", index))

    def status_warnings(self, new: Ingress, old: Ingress) -> Iterator[str]:
        yield from ingress_status_warnings(new)

    def warnings(self, new: Ingress, old: Ingress | None) -> Iterator[str]:
        if old is None:
            yield from ingress_warnings(new)


def _host(host: str, path: str) -> Iterator[FieldError]:
    if not host:
        return
    if is_ip(host):
        yield invalid(path, host, "must be a DNS name, not an IP address")
    for why in _host_problems(host):
        yield invalid(path, host, why)


def _host_problems(host: str) -> Iterator[str]:
    return wildcard_subdomain_problems(host) if "*" in host else subdomain_problems(host)


def _path(one: HTTPIngressPath, path: str) -> Iterator[FieldError]:
    if not one.path_type:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if one.path_type not in _PATH_TYPES:
        yield not_supported(f"{path}.pathType", one.path_type, _PATH_TYPES)
    elif one.path_type in ("Exact", "Prefix"):
        if not one.path.startswith("/"):
            yield invalid(f"{path}.path", one.path, "must be an absolute path")
        for bad in _BAD_SEQUENCES:
            if bad in one.path:
                yield invalid(f"{path}.path", one.path, f"must not contain '{bad}'")
        for bad in _BAD_ENDINGS:
            if one.path.endswith(bad):
                yield invalid(f"{path}.path", one.path, f"cannot end with '{bad}'")
    elif one.path and not one.path.startswith("/"):
        yield invalid(f"{path}.path", one.path, "must be an absolute path")
    yield from _backend(one.backend, f"{path}.backend")


def _backend(backend: IngressBackend, path: str) -> Iterator[FieldError]:
    service = backend.service
    if service is not None and backend.resource is not None:
        yield invalid(path, "", "cannot set both resource and service backends")
    elif backend.resource is not None:
        yield from _reference(backend.resource, f"{path}.resource")
    elif service is None:
        yield invalid(path, "", "resource or service backend is required")
    else:
        where = f"{path}.service"
        if not service.name:
            yield required(f"{where}.name")
        else:
            for why in label_1035_problems(service.name):
                yield invalid(f"{where}.name", service.name, why)
        port = service.port or ServiceBackendPort()
        if port.name and port.number:
            yield invalid(path, "", "cannot set both port name & port number")
        elif port.name:
            for why in port_name_problems(port.name):
                yield invalid(f"{where}.port.name", port.name, why)
        elif port.number:
            for why in port_number_problems(port.number):
                yield invalid(f"{where}.port.number", port.number, why)
        else:
            yield required(path, "port name or number is required")


def _reference(to: TypedLocalObjectReference | IngressClassParametersReference, path: str) -> Iterator[FieldError]:
    for why in subdomain_problems(to.api_group) if to.api_group else ():
        yield invalid(f"{path}.apiGroup", to.api_group, why)
    yield from _segment(to.kind, f"{path}.kind")
    yield from _segment(to.name, f"{path}.name")


def _segment(name: str, path: str) -> Iterator[FieldError]:
    """A name that is there, and fits in a URL."""
    if not name:
        yield required(path)
    for why in path_segment_problems(name):
        yield invalid(path, name, why)


class IngressClassRules(Strategy[IngressClass]):
    def validate(self, new: IngressClass, old: IngressClass | None) -> Iterator[FieldError]:
        controller, path = new.spec.controller, "spec.controller"
        if not controller:
            yield required(path)
        else:
            if len(controller) > _LONGEST_CONTROLLER:
                yield too_long(path, _LONGEST_CONTROLLER)
            domain, slash, _ = controller.partition("/")
            if not slash:
                yield invalid(path, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
            for why in subdomain_problems(domain):
                yield invalid(path, domain, why)
        if old is not None:
            yield from immutable(path, controller, old.spec.controller)
        parameters = new.spec.parameters
        if parameters is None:
            return
        where = "spec.parameters"
        yield from _reference(parameters, where)
        if parameters.scope == "Namespace":
            if not parameters.namespace:
                yield required(f"{where}.namespace", "`parameters.scope` is set to 'Namespace'")
            for why in label_problems(parameters.namespace) if parameters.namespace else ():
                yield invalid(f"{where}.namespace", parameters.namespace, why)
        elif parameters.scope == "Cluster":
            if parameters.namespace:
                yield forbidden(f"{where}.namespace", "`parameters.scope` is set to 'Cluster'")
        else:
            yield not_supported(f"{where}.scope", parameters.scope, ("Cluster", "Namespace"))


class NetworkPolicyRules(Strategy[NetworkPolicy]):
    def validate(self, new: NetworkPolicy, old: NetworkPolicy | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from label_selector(spec.pod_selector, "spec.podSelector")
        for index, inward in enumerate(spec.ingress):
            where = at("spec.ingress", index)
            yield from _policy_ports(inward.ports, f"{where}.ports")
            yield from _peers(inward.from_, f"{where}.from")
        for index, outward in enumerate(spec.egress):
            where = at("spec.egress", index)
            yield from _policy_ports(outward.ports, f"{where}.ports")
            yield from _peers(outward.to, f"{where}.to")
        if len(spec.policy_types) > 2:
            why = "may not specify more than two policyTypes"
            yield invalid("spec.policyTypes", spec.policy_types, why)
            return
        for index, one in enumerate(spec.policy_types):
            if one not in ("Egress", "Ingress"):
                yield not_supported(at("spec.policyTypes", index), one, ("Egress", "Ingress"))

    def warnings(self, new: NetworkPolicy, old: NetworkPolicy | None) -> Iterator[str]:
        yield from network_policy_warnings(new)


def _policy_ports(ports: Sequence[NetworkPolicyPort], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(ports):
        where = at(path, index)
        if one.protocol and one.protocol not in PROTOCOLS:
            yield not_supported(f"{where}.protocol", one.protocol, PROTOCOLS)
        if one.port is not None:
            yield from port_or_name(one.port, f"{where}.port")
        if one.end_port is None:
            continue
        if one.port is None:
            yield required(f"{where}.endPort", "may not be specified when `port` is not specified")
        elif isinstance(one.port, str):
            yield invalid(f"{where}.endPort", one.end_port, "may not be specified when `port` is non-numeric")
        else:
            if one.end_port < one.port:
                yield invalid(f"{where}.endPort", one.end_port, "must be greater than or equal to `port`")
            for why in port_number_problems(one.end_port):
                yield invalid(f"{where}.endPort", one.end_port, why)


def _peers(peers: Sequence[NetworkPolicyPeer], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(peers):
        where = at(path, index)
        yield from label_selector(one.pod_selector, f"{where}.podSelector")
        yield from label_selector(one.namespace_selector, f"{where}.namespaceSelector")
        selected = one.pod_selector is not None or one.namespace_selector is not None
        if one.ip_block is not None:
            yield from _block(one.ip_block, f"{where}.ipBlock")
        if not selected and one.ip_block is None:
            yield required(where, "must specify a peer")
        elif selected and one.ip_block is not None:
            yield forbidden(where, "may not specify both ipBlock and another peer")


def _block(block: IPBlock, path: str) -> Iterator[FieldError]:
    if not block.cidr:
        yield required(f"{path}.cidr")
        return
    wrong = list(cidr_problems(block.cidr))
    for why in wrong:
        yield invalid(f"{path}.cidr", block.cidr, why)
    for index, hole in enumerate(block.except_):
        where = at(f"{path}.except", index)
        bad = list(cidr_problems(hole))
        for why in bad:
            yield invalid(where, hole, why)
        if not bad and not wrong and not _within(hole, block.cidr):
            why = "must be a strict subset of `cidr`"
            yield invalid(where, hole, why)


def _within(inner: str, outer: str) -> bool:
    part, whole = ipaddress.ip_interface(inner).network, ipaddress.ip_interface(outer).network
    same = part.version == whole.version
    return same and part.prefixlen > whole.prefixlen and part.network_address in whole


class ServiceCIDRRules(Strategy[ServiceCIDR]):
    def validate(self, new: ServiceCIDR, old: ServiceCIDR | None) -> Iterator[FieldError]:
        cidrs = new.spec.cidrs
        if old is None:
            yield from _service_ranges(cidrs)
            return
        before = old.spec.cidrs
        if len(before) not in (len(cidrs), len(cidrs) - 1) or len(cidrs) > 2:
            yield invalid("spec.cidrs", cidrs, IMMUTABLE)
            return
        for index, (one, was) in enumerate(zip(cidrs, before, strict=False)):
            yield from immutable(at("spec.cidrs", index), one, was)
        if len(cidrs) > len(before):
            yield from _service_ranges(cidrs)


def _service_ranges(cidrs: Sequence[str]) -> Iterator[FieldError]:
    """One, or one of each family."""
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
    if len(cidrs) > 2:
        yield invalid("spec.cidrs", cidrs, "may only hold up to 2 values")
        return
    wrong = [
        invalid(at("spec.cidrs", index), one, why) for index, one in enumerate(cidrs) for why in cidr_problems(one)
    ]
    yield from wrong
    if not wrong and len(cidrs) != len({":" in one for one in cidrs}):
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield invalid("spec.cidrs", cidrs, why)


class IPAddressRules(Strategy[IPAddress]):
    def name_problems(self, name: str) -> Iterator[str]:
        return ip_problems(name)

    def validate(self, new: IPAddress, old: IPAddress | None) -> Iterator[FieldError]:
        parent, path = new.spec.parent_ref, "spec.parentRef"
        if old is not None:
            yield from immutable(path, parent, old.spec.parent_ref)
            return
        for why in subdomain_problems(parent.group) if parent.group else ():
            yield invalid(f"{path}.group", parent.group, why)
        yield from _segment(parent.resource, f"{path}.resource")
        yield from _segment(parent.name, f"{path}.name")
        for why in path_segment_problems(parent.namespace):
            yield invalid(f"{path}.namespace", parent.namespace, why)
