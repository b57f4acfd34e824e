"""Addresses and ranges that are valid but written oddly (apimachinery's GetWarningsForIP, GetWarningsForCIDR)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from minikube.resources.rules.invalid import quoted

_LATER = "will be considered invalid in a future Kubernetes release: use"


def address_warnings(text: str, path: str) -> Iterator[str]:
    """Of a text that validation takes for an address; others are no concern of ours."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield f"{path}: non-standard IP address {quoted(text)} {_LATER} {quoted(str(address.ipv4_mapped))}"
    elif str(address) != text:
        canonical = quoted(str(address))
        yield f"{path}: IPv6 address {quoted(text)} should be in RFC 5952 canonical format ({canonical})"


def range_warnings(text: str, path: str) -> Iterator[str]:
    """Of a text that validation takes for a range."""
    try:
        given = ipaddress.ip_interface(text)
    except ValueError:
        return
    plain = _unmapped(given)
    canonical = quoted(str(plain.network))
    found = False
    if plain.ip != plain.network.network_address:
        found = True
        alone = quoted(f"{plain.ip}/{plain.max_prefixlen}")
        yield f"{path}: CIDR value {quoted(text)} is ambiguous in this context (should be {canonical} or {alone}?)"
    if plain is not given:
        found = True
        yield f"{path}: non-standard CIDR value {quoted(text)} {_LATER} {canonical}"
    if not found and given.version == 6 and str(given) != text:
        yield f"{path}: IPv6 CIDR value {quoted(text)} should be in RFC 5952 canonical format ({canonical})"


def _unmapped(
    given: ipaddress.IPv4Interface | ipaddress.IPv6Interface,
) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    mapped = given.ip.ipv4_mapped if isinstance(given, ipaddress.IPv6Interface) else None
    if mapped is None:
        return given
    return ipaddress.IPv4Interface((mapped, max(0, given.network.prefixlen - 96)))
