"""What a Service may say (ValidateService, ValidateServiceUpdate). Addresses and node ports are the registry's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from minikube.api.core_v1 import Service, ServicePort, ServiceSpec
from minikube.api.names import (
    cidr_problems,
    ip_problems,
    label_1035_problems,
    label_problems,
    port_number_problems,
    qualified_name_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.addresses import balancer_address, not_special
from minikube.resources.rules.containers import PROTOCOLS
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, one_of, required
from minikube.resources.rules.labelling import labels, port_or_name
from minikube.resources.warnings.kinds import service_status_warnings, service_warnings

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
HEADLESS = "None"
_DAY = 86400


class ServiceRules(Strategy[Service]):
    def name_problems(self, name: str) -> Iterator[str]:
        return label_1035_problems(name)

    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"loadBalancer": {}}

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        """A client that leaves out what was allocated keeps it (patchAllocatedValues), and need not take away what
        only the old type had (dropTypeDependentFields)."""
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        _agree_on_address(spec, before)
        if _has_ip(spec) and _has_ip(before):
            for name in ("clusterIP", "clusterIPs"):
                if not spec.get(name) and before.get(name):
                    spec[name] = before[name]
        if _has_node_ports(spec) and _has_node_ports(before):
            _keep_node_ports(spec, before)
        if _needs_check_port(spec) and not spec.get("healthCheckNodePort") and before.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = before["healthCheckNodePort"]
        _drop_what_the_old_type_needed(spec, before)

    def validate(self, new: Service, old: Service | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from _ports(spec, "spec.ports")
        yield from one_of("spec.type", spec.type, TYPES)
        yield from _addressing(spec)
        yield from labels(spec.selector, "spec.selector")
        yield from _affinity(spec)
        yield from _traffic(spec)
        yield from _outside(spec)
        if old is not None:
            yield from _update(spec, old.spec)

    def status_warnings(self, new: Service, old: Service) -> Iterator[str]:
        yield from service_status_warnings(new)

    def warnings(self, new: Service, old: Service | None) -> Iterator[str]:
        yield from service_warnings(new)

    def validate_status(self, new: Service, old: Service) -> Iterator[FieldError]:
        path = "status.loadBalancer.ingress"
        given = new.status.load_balancer.ingress if new.status.load_balancer else ()
        before = old.status.load_balancer.ingress if old.status.load_balancer else ()
        if given and given != before and new.spec.type != "LoadBalancer":
            yield forbidden(path, 'may only be used when `spec.type` is "LoadBalancer"')
            return
        for index, one in enumerate(given):
            where = at(path, index)
            yield from balancer_address(one.ip, one.hostname, where)
            if one.ip_mode and not one.ip:
                yield forbidden(f"{where}.ipMode", "may not be specified when `ip` is not set")
            elif one.ip_mode and one.ip_mode not in ("Proxy", "VIP"):
                yield not_supported(f"{where}.ipMode", one.ip_mode, ("Proxy", "VIP"))

    def fields(self, obj: Any) -> Mapping[str, str]:
        return {"spec.clusterIP": obj.spec.cluster_ip, "spec.type": obj.spec.type}


def _has_ip(spec: ReadOnlyObj) -> bool:
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def _has_node_ports(spec: ReadOnlyObj) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _port_key(port: Mapping[str, Any]) -> tuple[Any, Any]:
    return port.get("protocol", "TCP"), port.get("port")


def _keep_node_ports(spec: Obj, before: ReadOnlyObj) -> None:
    had = {_port_key(port): port.get("nodePort") for port in before.get("ports") or ()}
    used = {port.get("nodePort") for port in spec.get("ports") or ()}
    for port in spec.get("ports") or ():
        kept = had.get(_port_key(port))
        if not port.get("nodePort") and kept and kept not in used:
            port["nodePort"] = kept
            used.add(kept)


def _agree_on_address(spec: Obj, before: ReadOnlyObj) -> None:
    """Whoever changes clusterIP means the first of clusterIPs too (normalizeClusterIPs)."""
    was = before.get("clusterIP") or ""
    asked, listed = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if asked == was or listed != (before.get("clusterIPs") or []):
        return
    if not asked:
        spec.pop("clusterIPs", None)
    else:
        spec["clusterIPs"] = [asked, *listed[1:]]


def _drop_what_the_old_type_needed(spec: Obj, before: ReadOnlyObj) -> None:
    """Fields that the new type has no use for go, unless the client changed them: then it is told."""
    if _has_ip(before) and not _has_ip(spec):
        _drop_same(spec, before, "clusterIP", "clusterIPs")
        _drop_same(spec, before, "ipFamilies", "ipFamilyPolicy")
        _drop_same(spec, before, "internalTrafficPolicy")
    if _has_node_ports(before) and not _has_node_ports(spec):
        held = {port.get("nodePort") for port in before.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in held:
                port.pop("nodePort", None)
        _drop_same(spec, before, "externalTrafficPolicy")
    if _needs_check_port(before) and not _needs_check_port(spec):
        _drop_same(spec, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_same(spec, before, "allocateLoadBalancerNodePorts")
        _drop_same(spec, before, "loadBalancerClass")


def _drop_same(spec: Obj, before: ReadOnlyObj, *names: str) -> None:
    if all(spec.get(name) in (None, "", []) or spec.get(name) == before.get(name) for name in names):
        for name in names:
            spec.pop(name, None)


def _needs_check_port(spec: ReadOnlyObj) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _ports(spec: ServiceSpec, path: str) -> Iterator[FieldError]:
    if not spec.ports and spec.cluster_ip != HEADLESS and spec.type != "ExternalName":
        yield required(path)
    names: set[str] = set()
    seen: set[tuple[str, int]] = set()
    node_ports: set[tuple[str, int]] = set()
    for index, one in enumerate(spec.ports):
        where = at(path, index)
        yield from _port(one, where, alone=len(spec.ports) == 1, names=names)
        names.add(one.name)
        if one.node_port:
            if spec.type in ("ClusterIP", "ExternalName"):
                why = f"may not be used when `type` is '{spec.type}'"
                yield forbidden(f"{where}.nodePort", why)
            held = (one.protocol, one.node_port)
            if held in node_ports:
                yield duplicate(f"{where}.nodePort", one.node_port)
            node_ports.add(held)
        taken = (one.protocol, one.port)
        if taken in seen:
            yield duplicate(where, msgspec.structs.replace(one, name="", node_port=None, target_port=None))
        seen.add(taken)
        if spec.type == "LoadBalancer" and one.port == 10250:
            yield invalid(
                f"{where}.port", one.port, "may not expose port 10250 externally since it is used by kubelet"
            )


def _port(one: ServicePort, path: str, *, alone: bool, names: set[str]) -> Iterator[FieldError]:
    if not one.name:
        if not alone:
            yield required(f"{path}.name")
    else:
        for why in label_problems(one.name):
            yield invalid(f"{path}.name", one.name, why)
        if one.name in names:
            yield duplicate(f"{path}.name", one.name)
    for why in port_number_problems(one.port):
        yield invalid(f"{path}.port", one.port, why)
    yield from one_of(f"{path}.protocol", one.protocol, PROTOCOLS)
    yield from port_or_name(one.target_port, f"{path}.targetPort")
    if one.app_protocol:
        for why in qualified_name_problems(one.app_protocol):
            yield invalid(f"{path}.appProtocol", one.app_protocol, why)


def _addressing(spec: ServiceSpec) -> Iterator[FieldError]:
    if spec.type == "ExternalName":
        if spec.cluster_ips or spec.cluster_ip:
            yield forbidden("spec.clusterIPs", "may not be set for ExternalName services")
        for name, given in (("ipFamilies", spec.ip_families), ("ipFamilyPolicy", spec.ip_family_policy)):
            if given:
                yield forbidden(f"spec.{name}", "may not be set for ExternalName services")
        if not spec.external_name:
            yield required("spec.externalName")
        else:
            for why in subdomain_problems(spec.external_name.removesuffix(".")):
                yield invalid("spec.externalName", spec.external_name, why)
        return
    headless = HEADLESS in (spec.cluster_ip, *spec.cluster_ips[:1])
    if headless and spec.type in ("LoadBalancer", "NodePort"):
        why = f"may not be set to 'None' for {spec.type} services"
        yield invalid("spec.clusterIPs[0]", HEADLESS, why)
    if spec.cluster_ips and spec.cluster_ip and spec.cluster_ip != spec.cluster_ips[0]:
        why = "first value must match `clusterIP`"
        yield invalid("spec.clusterIPs", spec.cluster_ips, why)
    for index, address in enumerate(spec.cluster_ips):
        if address == HEADLESS and index == 0:
            continue
        for why in ip_problems(address):
            yield invalid(at("spec.clusterIPs", index), address, why)
    for index, family in enumerate(spec.ip_families):
        if family not in ("IPv4", "IPv6"):
            yield not_supported(at("spec.ipFamilies", index), family, ("IPv4", "IPv6"))
        if family in spec.ip_families[:index]:
            yield duplicate(at("spec.ipFamilies", index), family)
    for name, several in (("clusterIPs", spec.cluster_ips), ("ipFamilies", spec.ip_families)):
        if len(several) > 2:
            yield invalid(f"spec.{name}", several, "may only hold up to 2 values")
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    if spec.ip_family_policy and spec.ip_family_policy not in policies:
        yield not_supported("spec.ipFamilyPolicy", spec.ip_family_policy, policies)


def _affinity(spec: ServiceSpec) -> Iterator[FieldError]:
    yield from one_of("spec.sessionAffinity", spec.session_affinity, ("ClientIP", "None"))
    config = spec.session_affinity_config
    if spec.session_affinity == "ClientIP" and config is not None and config.client_ip is not None:
        seconds = config.client_ip.timeout_seconds
        if seconds is not None and not 0 < seconds <= _DAY:
            why = f"must be greater than 0 and less than {_DAY}"
            yield invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)


def _traffic(spec: ServiceSpec) -> Iterator[FieldError]:
    allowed = ("Cluster", "Local")
    if spec.internal_traffic_policy and spec.internal_traffic_policy not in allowed:
        yield not_supported("spec.internalTrafficPolicy", spec.internal_traffic_policy, allowed)
    exposed = spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.external_ips))
    if exposed:
        yield from one_of("spec.externalTrafficPolicy", spec.external_traffic_policy, allowed)
    elif spec.external_traffic_policy:
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", spec.external_traffic_policy, why)
    checked = spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"
    if spec.health_check_node_port and not checked:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec.health_check_node_port, why)
    distributions = ("PreferClose", "PreferSameNode", "PreferSameZone")
    if spec.traffic_distribution and spec.traffic_distribution not in distributions:
        yield not_supported("spec.trafficDistribution", spec.traffic_distribution, distributions)


def _outside(spec: ServiceSpec) -> Iterator[FieldError]:
    for index, address in enumerate(spec.external_ips):
        wrong = list(ip_problems(address))
        for why in wrong:
            yield invalid(at("spec.externalIPs", index), address, why)
        if not wrong:
            yield from not_special(address, at("spec.externalIPs", index))
    for index, source in enumerate(spec.load_balancer_source_ranges):
        for why in cidr_problems(source.strip()):
            yield invalid(at("spec.loadBalancerSourceRanges", index), source, why)
    if spec.load_balancer_source_ranges and spec.type != "LoadBalancer":
        yield forbidden("spec.loadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'")
    if spec.allocate_load_balancer_node_ports is not None and spec.type != "LoadBalancer":
        yield forbidden("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
    if spec.load_balancer_class:
        if spec.type != "LoadBalancer":
            yield forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
        for why in qualified_name_problems(spec.load_balancer_class):
            yield invalid("spec.loadBalancerClass", spec.load_balancer_class, why)


def _update(new: ServiceSpec, old: ServiceSpec) -> Iterator[FieldError]:
    if (
        "ExternalName" not in (new.type, old.type)
        and old.cluster_ips
        and new.cluster_ips[:1] != old.cluster_ips[:1]
    ):
        yield invalid("spec.clusterIPs[0]", new.cluster_ips, "may not change once set")
    both = new.type == old.type == "LoadBalancer"
    if both and new.load_balancer_class != old.load_balancer_class and old.load_balancer_class:
        yield invalid("spec.loadBalancerClass", new.load_balancer_class, "may not change once set")
