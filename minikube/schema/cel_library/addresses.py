"""IP addresses and networks (library.IP, library.CIDR)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from minikube.schema.cel_library.values import BOOL, INT, MAP, STRING, Library, Opaque, accepts, text_of

IP, CIDR = "net.IP", "net.CIDR"


def _ip(text: str) -> Opaque:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        raise ValueError(f"IPv4-mapped IPv6 addresses and zones are not allowed: {text}")
    return {IP: str(address)}


def _cidr(text: str) -> Opaque:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdigit():
        raise ValueError(f"network address parse error during conversion from string: {text}")
    ip_network(text, strict=False)
    return {CIDR: f"{ip_address(address)}/{bits}"}


def _address(value: Opaque | str) -> IPv4Address | IPv6Address:
    return ip_address(value if isinstance(value, str) else text_of(value, IP))


def _network(value: Opaque | str) -> IPv4Network | IPv6Network:
    return ip_network(value if isinstance(value, str) else text_of(value, CIDR), strict=False)


def _is_global_unicast(value: Opaque) -> bool:
    ip = _address(value)
    broadcast = ip.version == 4 and str(ip) == "255.255.255.255"
    return not (broadcast or ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def _is_link_local_multicast(value: Opaque) -> bool:
    ip = _address(value)
    return ip in (ip_network("224.0.0.0/24") if ip.version == 4 else ip_network("ff02::/16"))


def _contains_ip(value: Opaque, ip: Opaque | str) -> bool:
    return _address(ip) in _network(value)


def _contains_cidr(value: Opaque, other: Opaque | str) -> bool:
    outer, inner = _network(value), _network(other)
    return outer.version == inner.version and (
        outer.prefixlen <= inner.prefixlen and inner.network_address in outer
    )


FUNCTIONS: Library = {
    "ip": ((MAP, (STRING,), _ip),),
    "isIP": ((BOOL, (STRING,), accepts(_ip)),),
    "ip.isCanonical": ((BOOL, (STRING,), lambda text: str(ip_address(text)) == text),),
    "cidr": ((MAP, (STRING,), _cidr),),
    "isCIDR": ((BOOL, (STRING,), accepts(_cidr)),),
    "string": ((STRING, (MAP,), lambda value: text_of(value, IP, CIDR)),),
}
MEMBERS: Library = {
    "family": ((INT, (MAP,), lambda ip: _address(ip).version),),
    "isUnspecified": ((BOOL, (MAP,), lambda ip: _address(ip).is_unspecified),),
    "isLoopback": ((BOOL, (MAP,), lambda ip: _address(ip).is_loopback),),
    "isLinkLocalUnicast": ((BOOL, (MAP,), lambda ip: _address(ip).is_link_local),),
    "isLinkLocalMulticast": ((BOOL, (MAP,), _is_link_local_multicast),),
    "isGlobalUnicast": ((BOOL, (MAP,), _is_global_unicast),),
    "containsIP": ((BOOL, (MAP, MAP), _contains_ip), (BOOL, (MAP, STRING), _contains_ip)),
    "containsCIDR": ((BOOL, (MAP, MAP), _contains_cidr), (BOOL, (MAP, STRING), _contains_cidr)),
    "ip": ((MAP, (MAP,), lambda cidr: {IP: text_of(cidr, CIDR).partition("/")[0]}),),
    "prefixLength": ((INT, (MAP,), lambda cidr: _network(cidr).prefixlen),),
    "masked": ((MAP, (MAP,), lambda cidr: {CIDR: str(_network(cidr))}),),
}
