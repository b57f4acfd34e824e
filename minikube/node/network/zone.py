"""The names of the cluster out of listers. Rules: the Kubernetes DNS specification 1.1.0."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from dnslib import AAAA, CNAME, SRV, A

from minikube.api.core_v1 import Service
from minikube.api.well_known import SERVICE_NAME


class Zone:
    """Names of the cluster out of listers; None is a name that does not exist, [] one without such records."""

    def __init__(self, services: Any, slices: Any, domain: str) -> None:
        self._services = services
        self._slices = slices
        self._domain = domain.rstrip(".").lower()

    def owns(self, name: str) -> bool:
        return name == self._domain or name.endswith("." + self._domain)

    def lookup(self, name: str, kind: str) -> list[Any] | None:
        """`name` in lower case without the final dot."""
        if name == self._domain:
            return []
        labels = name.removesuffix("." + self._domain).split(".")
        if labels in (["svc"], ["pod"]):
            return []
        if labels[-1] == "pod" and len(labels) == 3:
            return self._pod(labels[0], kind)
        if labels[-1] != "svc":
            return None
        if len(labels) == 2:
            exists = any(True for _ in self._services.list(labels[0]))
            return [] if exists else None
        service = self._services.get(labels[-3], labels[-2])
        if service is None:
            return None
        return self._service(service, labels[:-3], kind)

    def _pod(self, label: str, kind: str) -> list[Any] | None:
        try:
            ip = str(ipaddress.IPv4Address(label.replace("-", ".")))
        except ValueError:
            return None
        return [A(ip)] if kind == "A" else []

    def _endpoints(self, service: Service) -> list[tuple[str, str, tuple[Any, ...]]]:
        """(host label, address, ports) of the ones to publish."""
        found = []
        for part in self._slices.list(service.metadata.namespace):
            if part.metadata.labels.get(SERVICE_NAME) != service.metadata.name:
                continue
            for endpoint in part.endpoints:
                ready = endpoint.conditions is None or endpoint.conditions.ready is not False
                if ready or service.spec.publish_not_ready_addresses:
                    for ip in endpoint.addresses:
                        label = endpoint.hostname or ip.replace(".", "-").replace(":", "-")
                        found.append((label.lower(), ip, part.ports))
        return found

    def _service(self, service: Service, rest: list[str], kind: str) -> list[Any] | None:
        spec = service.spec
        base = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self._domain}"
        if spec.type == "ExternalName":
            return None if rest else [CNAME(spec.external_name)]
        headless = spec.cluster_ip == "None"
        if not rest:
            if headless:
                endpoints = self._endpoints(service)
                return _addresses({ip for _, ip, _ in endpoints}, kind) if endpoints else None
            return _addresses(spec.cluster_ips or (spec.cluster_ip,), kind)
        if len(rest) == 2 and rest[0].startswith("_") and rest[1].startswith("_"):
            return self._srv(service, base, rest[0][1:], rest[1][1:], headless, kind)
        if headless and len(rest) == 1:
            mine = {ip for label, ip, _ in self._endpoints(service) if label == rest[0]}
            return _addresses(mine, kind) if mine else None
        return None

    def targets(self, records: Sequence[Any]) -> list[tuple[str, A]]:
        """The addresses that the names in SRV records have, so that nobody need ask again."""
        found = {}
        for record in records:
            name = str(record.target).rstrip(".").lower()
            for address in self.lookup(name, "A") or ():
                found[name, str(address)] = (name, address)
        return list(found.values())

    def _srv(
        self, service: Service, base: str, port: str, protocol: str, headless: bool, kind: str
    ) -> list[Any] | None:
        if headless:
            records = [
                SRV(0, 100, found.port, f"{label}.{base}")
                for label, _, ports in self._endpoints(service)
                for found in ports
                if found.name == port and (found.protocol or "TCP").lower() == protocol
            ]
        else:
            records = [
                SRV(0, 100, found.port, base)
                for found in service.spec.ports
                if found.name == port and (found.protocol or "TCP").lower() == protocol
            ]
        if not records:
            return None
        return records if kind == "SRV" else []

    def reverse(self, address: str) -> str | None:
        for service in self._services.list():
            base = f"{service.metadata.name}.{service.metadata.namespace}.svc.{self._domain}"
            if address in (service.spec.cluster_ip, *service.spec.cluster_ips):
                return base
            if service.spec.cluster_ip == "None":
                for label, ip, _ in self._endpoints(service):
                    if ip == address:
                        return f"{label}.{base}"
        return None


def _addresses(ips: Any, kind: str) -> list[Any]:
    wanted = {"A": 4, "AAAA": 6}.get(kind)
    make = A if kind == "A" else AAAA
    return [make(ip) for ip in sorted(ips) if ipaddress.ip_address(ip).version == wanted]
