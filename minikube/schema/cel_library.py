"""Kubernetes' own CEL functions (k8s.io/apiserver pkg/cel/library): quantities, lists, regexes, URLs, IPs, …

A Quantity, URL, IP, CIDR or Semver is a map with one entry here, its kind and its text. Left out: `authorizer`,
`format`, and for want of overloads on functions that cel-cpp declares itself `indexOf` of lists and `string(ip)`.
Imported only together with the evaluator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from cel_expr_python import cel

from minikube.api.quantity import parse as parse_quantity
from minikube.api.quantity import valid as valid_quantity
from minikube.schema.structure import go_regexp

_BOOL, _INT, _DOUBLE, _STRING = cel.Type.BOOL, cel.Type.INT, cel.Type.DOUBLE, cel.Type.STRING
_DYN, _LIST, _MAP = cel.Type.DYN, cel.Type.LIST, cel.Type.MAP
Signature = tuple[cel.Type, tuple[cel.Type, ...], Callable[..., Any]]
"""(result, parameters, implementation)."""
Opaque = Mapping[str, str]

QUANTITY, URL, IP, CIDR = "kubernetes.Quantity", "kubernetes.URL", "net.IP", "net.CIDR"
SEMVER = "kubernetes.Semver"
_NUMBER = r"(?:0|[1-9]\d*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z.-]+)?"
)


def functions() -> list[cel.FunctionDecl]:
    return [
        cel.FunctionDecl(
            name,
            [
                *_overloads(name, _GLOBAL.get(name, ()), member=False),
                *_overloads(name, _MEMBERS.get(name, ()), member=True),
            ],
        )
        for name in {**_GLOBAL, **_MEMBERS}
    ]


def _overloads(name: str, signatures: tuple[Signature, ...], *, member: bool) -> list[cel.Overload]:
    of = "member" if member else "global"
    return [
        cel.Overload(
            f"minikube_{of}_{name.replace('.', '_')}_{index}",
            return_type=result,
            parameters=list(parameters),
            is_member=member,
            impl=implementation,
        )
        for index, (result, parameters, implementation) in enumerate(signatures)
    ]


def _text(value: Opaque, kind: str) -> str:
    """Raises ValueError: it is of another kind."""
    if set(value) != {kind}:
        raise ValueError("no such overload")
    return value[kind]


def _accepts(make: Callable[[str], object]) -> Callable[[str], bool]:
    def accepted(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return accepted


# ---- quantities ----------------------------------------------------------------------------------------


def _quantity(amount: Fraction) -> Opaque:
    return {QUANTITY: str(amount)}


def _amount(value: Opaque | int) -> Fraction:
    return Fraction(value) if isinstance(value, int) else Fraction(_text(value, QUANTITY))


def _compare(one: Opaque, other: Opaque) -> int:
    """Of two quantities or two versions: -1, 0 or 1."""
    measure: Callable[[Opaque], Any] = _precedence if SEMVER in one else _amount
    a, b = measure(one), measure(other)
    return 1 if a > b else -1 if a < b else 0


def _as_integer(value: Opaque) -> int:
    amount = _amount(value)
    if amount.denominator != 1 or not -(2**63) <= amount < 2**63:
        raise ValueError("cannot convert value to integer")
    return amount.numerator


# ---- lists ---------------------------------------------------------------------------------------------


def _least(values: list[Any]) -> Any:
    if not values:
        raise ValueError("min called on empty list")
    return min(values)


def _greatest(values: list[Any]) -> Any:
    if not values:
        raise ValueError("max called on empty list")
    return max(values)


def _is_sorted(values: list[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


# ---- regular expressions -------------------------------------------------------------------------------


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    compiled = go_regexp(pattern)
    if compiled is None:
        raise ValueError(f"Illegal regex: error parsing regexp: {pattern}")
    found = [match.group(0) for match in compiled.finditer(text)]
    return found if limit < 0 else found[:limit]


def _find(text: str, pattern: str) -> str:
    return next(iter(_find_all(text, pattern, 1)), "")


# ---- URLs ----------------------------------------------------------------------------------------------


def _url(text: str) -> Opaque:
    url = urlsplit(text)
    if not (url.scheme and (url.netloc or url.path)) and not text.startswith("/"):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return {URL: text}


def _parts(value: Opaque) -> SplitResult:
    return urlsplit(_text(value, URL))


def _host(value: Opaque) -> str:
    return _parts(value).netloc.rpartition("@")[2]


# ---- addresses -----------------------------------------------------------------------------------------


def _ip(text: str) -> Opaque:
    return {IP: str(ip_address(text))}


def _cidr(text: str) -> Opaque:
    address, slash, bits = text.partition("/")
    if not slash or not bits.isdigit():
        raise ValueError(f"network address parse error during conversion from string: {text}")
    ip_network(text, strict=False)
    return {CIDR: f"{ip_address(address)}/{bits}"}


def _address(value: Opaque | str) -> IPv4Address | IPv6Address:
    return ip_address(value if isinstance(value, str) else _text(value, IP))


def _network(value: Opaque | str) -> IPv4Network | IPv6Network:
    return ip_network(value if isinstance(value, str) else _text(value, CIDR), strict=False)


def _family(value: Opaque) -> int:
    return _address(value).version


def _is_global_unicast(value: Opaque) -> bool:
    ip = _address(value)
    broadcast = ip.version == 4 and str(ip) == "255.255.255.255"
    return not (broadcast or ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)


def _contains_ip(value: Opaque, ip: Opaque | str) -> bool:
    return _address(ip) in _network(value)


def _contains_cidr(value: Opaque, other: Opaque | str) -> bool:
    outer, inner = _network(value), _network(other)
    return outer.version == inner.version and (
        outer.prefixlen <= inner.prefixlen and inner.network_address in outer
    )


# ---- versions ------------------------------------------------------------------------------------------


def _semver(text: str, normalize: bool = False) -> Opaque:
    """`normalize` takes v1.2, and 01.02.03."""
    if normalize:
        numbers, rest = re.match(r"v?([\d.]*)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        digits = [str(int(each)) if each else "" for each in numbers.split(".")]
        text = ".".join([*digits, "0", "0"][: max(3, len(digits))]) + rest
    if _SEMVER.fullmatch(text) is None:
        raise ValueError(f"semver parse error: {text}")
    return {SEMVER: text}


def _is_semver(text: str, normalize: bool = False) -> bool:
    return _accepts(lambda each: _semver(each, normalize))(text)


def _numbers(value: Opaque) -> tuple[int, int, int]:
    major, minor, patch = _text(value, SEMVER).partition("+")[0].partition("-")[0].split(".")
    return int(major), int(minor), int(patch)


def _precedence(value: Opaque) -> tuple[Any, ...]:
    """A release comes after its pre-releases, numbers before words; builds do not count."""
    early = _text(value, SEMVER).partition("+")[0].partition("-")[2]
    words = [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in early.split(".")]
    return (_numbers(value), not early, words)


# ---- sets ----------------------------------------------------------------------------------------------


def _contains(values: list[Any], wanted: list[Any]) -> bool:
    return all(one in values for one in wanted)


def _equivalent(one: list[Any], other: list[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: list[Any], other: list[Any]) -> bool:
    return any(each in one for each in other)


_GLOBAL: dict[str, tuple[Signature, ...]] = {
    "quantity": ((_MAP, (_STRING,), lambda text: _quantity(parse_quantity(text))),),
    "isQuantity": ((_BOOL, (_STRING,), valid_quantity),),
    "url": ((_MAP, (_STRING,), _url),),
    "isURL": ((_BOOL, (_STRING,), _accepts(_url)),),
    "ip": ((_MAP, (_STRING,), _ip),),
    "isIP": ((_BOOL, (_STRING,), _accepts(_ip)),),
    "ip.isCanonical": ((_BOOL, (_STRING,), lambda text: str(ip_address(text)) == text),),
    "cidr": ((_MAP, (_STRING,), _cidr),),
    "isCIDR": ((_BOOL, (_STRING,), _accepts(_cidr)),),
    "semver": ((_MAP, (_STRING,), _semver), (_MAP, (_STRING, _BOOL), _semver)),
    "isSemver": ((_BOOL, (_STRING,), _is_semver), (_BOOL, (_STRING, _BOOL), _is_semver)),
    "sets.contains": ((_BOOL, (_LIST, _LIST), _contains),),
    "sets.equivalent": ((_BOOL, (_LIST, _LIST), _equivalent),),
    "sets.intersects": ((_BOOL, (_LIST, _LIST), _intersects),),
}
_MEMBERS: dict[str, tuple[Signature, ...]] = {
    "sign": ((_INT, (_MAP,), lambda q: (_amount(q) > 0) - (_amount(q) < 0)),),
    "isInteger": ((_BOOL, (_MAP,), lambda q: _amount(q).denominator == 1),),
    "asInteger": ((_INT, (_MAP,), _as_integer),),
    "asApproximateFloat": ((_DOUBLE, (_MAP,), lambda q: float(_amount(q))),),
    "isGreaterThan": ((_BOOL, (_MAP, _MAP), lambda a, b: _compare(a, b) > 0),),
    "isLessThan": ((_BOOL, (_MAP, _MAP), lambda a, b: _compare(a, b) < 0),),
    "compareTo": ((_INT, (_MAP, _MAP), _compare),),
    "add": tuple((_MAP, (_MAP, kind), lambda a, b: _quantity(_amount(a) + _amount(b))) for kind in (_MAP, _INT)),
    "sub": tuple((_MAP, (_MAP, kind), lambda a, b: _quantity(_amount(a) - _amount(b))) for kind in (_MAP, _INT)),
    "sum": ((_DYN, (_LIST,), lambda values: sum(values)),),
    "min": ((_DYN, (_LIST,), _least),),
    "max": ((_DYN, (_LIST,), _greatest),),
    "isSorted": ((_BOOL, (_LIST,), _is_sorted),),
    "find": ((_STRING, (_STRING, _STRING), _find),),
    "findAll": (
        (cel.Type.List(_STRING), (_STRING, _STRING), _find_all),
        (cel.Type.List(_STRING), (_STRING, _STRING, _INT), _find_all),
    ),
    "getScheme": ((_STRING, (_MAP,), lambda url: _parts(url).scheme),),
    "getHost": ((_STRING, (_MAP,), _host),),
    "getHostname": ((_STRING, (_MAP,), lambda url: _parts(url).hostname or ""),),
    "getPort": ((_STRING, (_MAP,), lambda url: str(_parts(url).port or "")),),
    "getEscapedPath": ((_STRING, (_MAP,), lambda url: _parts(url).path),),
    "getQuery": ((_MAP, (_MAP,), lambda url: parse_qs(_parts(url).query, keep_blank_values=True)),),
    "family": ((_INT, (_MAP,), _family),),
    "isUnspecified": ((_BOOL, (_MAP,), lambda ip: _address(ip).is_unspecified),),
    "isLoopback": ((_BOOL, (_MAP,), lambda ip: _address(ip).is_loopback),),
    "isLinkLocalUnicast": ((_BOOL, (_MAP,), lambda ip: _address(ip).is_link_local),),
    "isGlobalUnicast": ((_BOOL, (_MAP,), _is_global_unicast),),
    "containsIP": ((_BOOL, (_MAP, _MAP), _contains_ip), (_BOOL, (_MAP, _STRING), _contains_ip)),
    "containsCIDR": ((_BOOL, (_MAP, _MAP), _contains_cidr), (_BOOL, (_MAP, _STRING), _contains_cidr)),
    "ip": ((_MAP, (_MAP,), lambda cidr: {IP: _text(cidr, CIDR).partition("/")[0]}),),
    "major": ((_INT, (_MAP,), lambda version: _numbers(version)[0]),),
    "minor": ((_INT, (_MAP,), lambda version: _numbers(version)[1]),),
    "patch": ((_INT, (_MAP,), lambda version: _numbers(version)[2]),),
    "prefixLength": ((_INT, (_MAP,), lambda cidr: _network(cidr).prefixlen),),
    "masked": ((_MAP, (_MAP,), lambda cidr: {CIDR: str(_network(cidr))}),),
}
