"""Cluster IPs and node ports of Services: what is taken is what the Services in the cache say.

`reserve` fills in what a new or changed Service needs; the caller commits after the write and rolls back when
it fails. Rules: kube-apiserver's service REST storage (alloc.go).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator

import msgspec

from minikube.errors import FieldError, InternalError, Invalid
from minikube.resources.base import Kind, Obj, ReadOnlyObj

HEADLESS = "None"


class Reservation:
    """Addresses and ports held for one write."""

    def __init__(self, undo: Callable[[], None] | None = None, done: Callable[[], None] | None = None) -> None:
        self._undo = undo
        self._done = done

    def commit(self) -> None:
        if self._done is not None:
            self._done()
        self._undo = self._done = None

    def rollback(self) -> None:
        if self._undo is not None:
            self._undo()
        self._undo = self._done = None


class Allocator:
    def __init__(self, service_cidr: str, node_ports: str) -> None:
        self._network = ipaddress.ip_network(service_cidr)
        low, _, high = node_ports.partition("-")
        self._ports = range(int(low), int(high) + 1)
        self._used_ips: set[str] = set()
        self._used_ports: set[tuple[str, int]] = set()
        self._chance = random.Random()

    def restore(self, service: ReadOnlyObj) -> None:
        """A Service that is already there."""
        self._used_ips.update(_addresses(service))
        self._used_ports.update(_node_ports(service))

    def reserve(self, kind: Kind, new: Obj, old: ReadOnlyObj | None) -> Reservation:
        """Raises Invalid when what is asked for is out of range or taken."""
        if (kind.resource.group, kind.resource.plural) != ("", "services"):
            return Reservation()
        had_ips = set(_addresses(old)) if old else set()
        had_ports = set(_node_ports(old)) if old else set()
        taken_ips: set[str] = set()
        taken_ports: set[tuple[str, int]] = set()

        def undo() -> None:
            self._used_ips.difference_update(taken_ips)
            self._used_ports.difference_update(taken_ports)

        def done() -> None:
            self._used_ips.difference_update(had_ips - set(_addresses(new)))
            self._used_ports.difference_update(had_ports - set(_node_ports(new)))

        try:
            self._reserve_ip(new, old, had_ips, taken_ips)
            self._reserve_ports(new, old, had_ports, taken_ports)
            self._reserve_check_port(new, old, had_ports, taken_ports)
        except BaseException:
            undo()
            raise
        return Reservation(undo, done)

    def release(self, kind: Kind, gone: ReadOnlyObj) -> None:
        if (kind.resource.group, kind.resource.plural) == ("", "services"):
            self._used_ips.difference_update(_addresses(gone))
            self._used_ports.difference_update(_node_ports(gone))

    def _reserve_ip(self, new: Obj, old: ReadOnlyObj | None, had: set[str], taken: set[str]) -> None:
        spec = new.setdefault("spec", {})
        if spec.get("type") == "ExternalName":
            had_spec = old["spec"] if old else {}
            for field in ("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                spec.pop(field, None)
            for field in ("clusterIP", "clusterIPs"):
                if spec.get(field) == had_spec.get(field):  # it was ours; one that is asked for is refused
                    spec.pop(field, None)
            return
        self._check_families(new, spec)
        if old and not spec.get("clusterIP") and old["spec"].get("clusterIP"):
            spec["clusterIP"] = old["spec"]["clusterIP"]
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if asked == HEADLESS:
            address = HEADLESS
        elif asked in had and asked:
            address = asked
        elif asked:
            address = self._take(asked, new, taken)
        else:
            address = self._any(taken)
        spec["clusterIP"] = address
        spec["clusterIPs"] = [address]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("internalTrafficPolicy", "Cluster")

    def _check_families(self, service: ReadOnlyObj, spec: ReadOnlyObj) -> None:
        """The cluster has one family of addresses."""
        ours = f"IPv{self._network.version}"
        if spec.get("ipFamilyPolicy") == "RequireDualStack":
            why = "this cluster is not configured for dual-stack services"
            raise _refused(service, "spec.ipFamilyPolicy", "RequireDualStack", why)
        for index, family in enumerate(spec.get("ipFamilies") or ()):
            if family != ours:
                raise _refused(service, f"spec.ipFamilies[{index}]", family, "not configured on this cluster")

    def _take(self, asked: str, service: ReadOnlyObj, taken: set[str]) -> str:
        try:
            address = ipaddress.ip_address(asked)
        except ValueError:
            return asked
        if address not in self._network:
            raise _refused(
                service, "spec.clusterIPs", [asked],
                f"failed to allocate IP {asked}: the provided IP ({asked}) is not in the valid range. The range of "
                f"valid IPs is {self._network}",
            )  # fmt: skip
        if asked in self._used_ips:
            raise _refused(
                service, "spec.clusterIPs", [asked],
                f"failed to allocate IP {asked}: provided IP is already allocated",
            )  # fmt: skip
        self._used_ips.add(asked)
        taken.add(asked)
        return asked

    def _any(self, taken: set[str]) -> str:
        """A random free address of the upper part of the range, so that people can ask for low ones."""
        size = self._network.num_addresses
        low = min(max(16, size // 16), 256) if size > 16 else 1
        for _ in range(200):
            address = str(self._network[self._chance.randrange(low, size - 1)])
            if address not in self._used_ips:
                self._used_ips.add(address)
                taken.add(address)
                return address
        for offset in range(1, size - 1):
            address = str(self._network[offset])
            if address not in self._used_ips:
                self._used_ips.add(address)
                taken.add(address)
                return address
        raise InternalError("failed to allocate a serviceIP: range is full")

    def _reserve_ports(
        self, new: Obj, old: ReadOnlyObj | None, had: set[tuple[str, int]], taken: set[tuple[str, int]]
    ) -> None:
        spec = new["spec"]
        wants = spec.get("type") in ("NodePort", "LoadBalancer")
        if spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
            wants = False
        before = {
            (p.get("protocol", "TCP"), p.get("port")): p.get("nodePort")
            for p in ((old or {}).get("spec", {}).get("ports") or ())
        }
        for index, port in enumerate(spec.get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            if not port.get("nodePort"):
                if not wants:
                    continue
                known = before.get((protocol, port.get("port")))
                port["nodePort"] = known if known else self._any_port(protocol, taken)
                continue
            number = port["nodePort"]
            if (protocol, number) in had or (protocol, number) in taken:
                continue
            path = f"spec.ports[{index}].nodePort"
            if number not in self._ports:
                raise _refused(
                    new, path, number,
                    f"provided port is not in the valid range. The range of valid ports is "
                    f"{self._ports.start}-{self._ports.stop - 1}",
                )  # fmt: skip
            if (protocol, number) in self._used_ports:
                raise _refused(new, path, number, "provided port is already allocated")
            self._used_ports.add((protocol, number))
            taken.add((protocol, number))

    def _reserve_check_port(
        self, new: Obj, old: ReadOnlyObj | None, had: set[tuple[str, int]], taken: set[tuple[str, int]]
    ) -> None:
        """The node port on which load balancers ask for the health of a service with a local policy."""
        spec, before = new["spec"], (old or {}).get("spec", {})
        if (spec.get("type"), spec.get("externalTrafficPolicy")) != ("LoadBalancer", "Local"):
            return
        number, kept = spec.get("healthCheckNodePort"), before.get("healthCheckNodePort")
        if not number:
            spec["healthCheckNodePort"] = kept or self._any_port("TCP", taken)
        elif kept and number != kept:
            why = (
                "cannot change healthCheckNodePort on loadBalancer service with externalTraffic=Local during update"
            )
            raise _refused(new, "spec.healthCheckNodePort", number, why)
        elif ("TCP", number) not in had:
            if number not in self._ports or ("TCP", number) in self._used_ports:
                raise InternalError(
                    f"failed to allocate requested HealthCheck NodePort {number}: provided port is "
                    + ("already allocated" if number in self._ports else "not in the valid range")
                )
            self._used_ports.add(("TCP", number))
            taken.add(("TCP", number))

    def _any_port(self, protocol: str, taken: set[tuple[str, int]]) -> int:
        free = [port for port in self._ports if (protocol, port) not in self._used_ports]
        if not free:
            raise InternalError("failed to allocate a nodePort: range is full")
        port = self._chance.choice(free)
        self._used_ports.add((protocol, port))
        taken.add((protocol, port))
        return port


def _addresses(service: ReadOnlyObj) -> Iterator[str]:
    spec = service.get("spec") or {}
    for address in {spec.get("clusterIP"), *(spec.get("clusterIPs") or ())}:
        if address and address != HEADLESS:
            yield address


def _node_ports(service: ReadOnlyObj) -> Iterator[tuple[str, int]]:
    spec = service.get("spec") or {}
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            yield port.get("protocol", "TCP"), port["nodePort"]
    if spec.get("healthCheckNodePort"):
        yield "TCP", spec["healthCheckNodePort"]


def _refused(service: ReadOnlyObj, path: str, value: object, why: str) -> Invalid:
    shown = msgspec.json.encode(value).decode()
    error = FieldError(path, "FieldValueInvalid", f"Invalid value: {shown}: {why}")
    return Invalid.of("Service", "", service["metadata"].get("name", ""), [error])
