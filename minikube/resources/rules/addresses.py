"""Checks of IP addresses that several kinds share."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from minikube.api.names import ip_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import invalid

LINK_LOCAL_MULTICAST = ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16")


def is_ip(text: str) -> bool:
    return not any(ip_problems(text))


def balancer_address(ip: str, hostname: str, path: str) -> Iterator[FieldError]:
    """An entry of status.loadBalancer.ingress."""
    for why in ip_problems(ip) if ip else ():
        yield invalid(f"{path}.ip", ip, why)
    for why in subdomain_problems(hostname) if hostname else ():
        yield invalid(f"{path}.hostname", hostname, why)
    if hostname and is_ip(hostname):
        yield invalid(f"{path}.hostname", hostname, "must be a DNS name, not an IP address")


def not_special(text: str, path: str) -> Iterator[FieldError]:
    """`text`, a valid address, is one that traffic can be sent to (ValidateNonSpecialIP)."""
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        yield invalid(path, text, f"may not be unspecified ({address})")
    elif address.is_loopback:
        yield invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    elif address.is_link_local:
        yield invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif any(address in network for network in LINK_LOCAL_MULTICAST):
        yield invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
