"""String formats that custom resources may ask for; an unknown format allows everything (kube-openapi strfmt)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from minikube.schema.scalars import time_problem

HOSTNAME = re.compile(
    r"([a-zA-Z0-9\u0080-\uffff]([-a-zA-Z0-9\u0080-\uffff]{0,61}[a-zA-Z0-9\u0080-\uffff])?)"
    r"(\.[a-zA-Z0-9\u0080-\uffff]([-a-zA-Z0-9\u0080-\uffff]{0,61}[a-zA-Z0-9\u0080-\uffff])?)*\.?"
)
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DURATION = re.compile(
    r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)(((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*)|0"
)
WORDS = re.compile(
    r"\d+\s*(ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?"
    r"|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)"
)


def _uuid(version: str) -> Callable[[str], bool]:
    shape = re.compile(rf"[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}-?[0-9a-f]{{12}}", re.IGNORECASE)
    return lambda text: shape.fullmatch(text) is not None


def _full(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    shape = re.compile(pattern, flags)
    return lambda text: shape.fullmatch(text) is not None


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _address(version: int) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return fits


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) or text.startswith("/")
    except ValueError:
        return False


def _date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def _card(text: str) -> bool:
    digits = re.sub(r"[^0-9]", "", text)
    total = sum(int(d) if at % 2 == 0 else sum(divmod(2 * int(d), 10)) for at, d in enumerate(reversed(digits)))
    return 12 < len(digits) < 20 and total % 10 == 0


def _isbn10(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if re.fullmatch(r"\d{9}[\dX]", digits) is None:
        return False
    return sum((at + 1) * (10 if d == "X" else int(d)) for at, d in enumerate(digits)) % 11 == 0


def _isbn13(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    if re.fullmatch(r"\d{13}", digits) is None:
        return False
    return sum((3 if at % 2 else 1) * int(d) for at, d in enumerate(digits)) % 10 == 0


def _email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    return bool(at and local) and HOSTNAME.fullmatch(domain) is not None and " " not in local


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _full(r"[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _email,
    "hostname": lambda text: len(text) < 256 and HOSTNAME.fullmatch(text) is not None,
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _cidr,
    "mac": _full(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"),
    "uuid": _uuid("[0-9a-f]{4}-?[0-9a-f]{4}"),
    "uuid3": _uuid("3[0-9a-f]{3}-?[0-9a-f]{4}"),
    "uuid4": _uuid("4[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
    "uuid5": _uuid("5[0-9a-f]{3}-?[89ab][0-9a-f]{3}"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _card,
    "ssn": _full(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _full(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _full(r"rgb\(\s*\d{1,3}%?\s*,\s*\d{1,3}%?\s*,\s*\d{1,3}%?\s*\)"),
    "byte": _base64,
    "date": _date,
    "date-time": lambda text: not time_problem(text),
    "datetime": lambda text: not time_problem(text),
    "duration": lambda text: DURATION.fullmatch(text) is not None or WORDS.fullmatch(text) is not None,
    "k8s-short-name": lambda text: len(text) < 64 and re.fullmatch(LABEL, text) is not None,
    "k8s-long-name": lambda text: len(text) < 254 and re.fullmatch(rf"{LABEL}(\.{LABEL})*", text) is not None,
}


def known_format(name: str) -> bool:
    """Whether anybody checks it."""
    return name == "password" or name in FORMATS or name.replace("-", "") in FORMATS


def has_format(text: str, name: str) -> bool:
    """Whether this string is of this format; formats nobody knows hold anything, `password` too."""
    check = FORMATS.get(name)
    return check is None or check(text)
