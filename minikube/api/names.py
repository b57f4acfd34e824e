"""What names may look like. Rules and words: k8s.io/apimachinery/pkg/util/validation."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"

SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    rf"'{LABEL}(\.{LABEL})*')"
)
LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
)
LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
    f"is '{_LABEL_1035}')"
)
QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    f"validation is '{_VALUE}')"
)


def subdomain_problems(name: str) -> Iterator[str]:
    """RFC 1123 subdomain: most object names."""
    if len(name) > 253:
        yield "must be no more than 253 bytes"
    if not re.fullmatch(SUBDOMAIN, name):
        yield SUBDOMAIN_MESSAGE


def label_problems(name: str) -> Iterator[str]:
    """RFC 1123 label: namespaces, ports, containers."""
    if len(name) > 63:
        yield "must be no more than 63 bytes"
    if not re.fullmatch(LABEL, name):
        yield LABEL_MESSAGE


def label_1035_problems(name: str) -> Iterator[str]:
    """RFC 1035 label: services."""
    if len(name) > 63:
        yield "must be no more than 63 bytes"
    if not re.fullmatch(_LABEL_1035, name):
        yield LABEL_1035_MESSAGE


def path_segment_problems(name: str) -> Iterator[str]:
    """Names that only have to fit in a URL: RBAC."""
    if name in (".", ".."):
        yield f"may not be '{name}'"
    for illegal in ("/", "%"):
        if illegal in name:
            yield f"may not contain '{illegal}'"


def qualified_name_problems(key: str) -> Iterator[str]:
    """[prefix/]name: label and annotation keys, resource names."""
    prefix, slash, name = key.rpartition("/")
    if key.count("/") > 1:
        yield (
            f"a qualified name {QUALIFIED_MESSAGE} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        )
        return
    if slash:
        if not prefix:
            yield "prefix part must be non-empty"
        else:
            for problem in subdomain_problems(prefix):
                yield f"prefix part {problem}"
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 bytes"
    if not re.fullmatch(_QUALIFIED, name):
        yield f"name part {QUALIFIED_MESSAGE}"


def label_value_problems(value: str) -> Iterator[str]:
    if len(value) > 63:
        yield "must be no more than 63 bytes"
    if not re.fullmatch(_VALUE, value):
        yield VALUE_MESSAGE


def wildcard_subdomain_problems(name: str) -> Iterator[str]:
    """The host of an ingress rule that stands for many."""
    if len(name) > 253:
        yield "must be no more than 253 bytes"
    pattern = rf"\*\.{SUBDOMAIN}"
    if not re.fullmatch(pattern, name):
        yield (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
            "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character "
            f"(e.g. '*.example.com', regex used for validation is '{pattern}')"
        )


def config_key_problems(key: str) -> Iterator[str]:
    """A key of a ConfigMap or Secret."""
    if len(key) > 253:
        yield "must be no more than 253 bytes"
    if not re.fullmatch("[-._a-zA-Z0-9]+", key):
        yield (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
    if key in (".", ".."):
        yield f"must not be '{key}'"
    elif key.startswith(".."):
        yield "must not start with '..'"


def env_var_problems(name: str) -> Iterator[str]:
    """The relaxed rule, stable since 1.34."""
    if not re.fullmatch("[ -<>-~]+", name):
        yield (
            "a valid environment variable name must consist only of printable ASCII characters other than '=' "
            "(regex used for validation is '^[ -<>-~]+$')"
        )


def http_header_problems(name: str) -> Iterator[str]:
    if not re.fullmatch("[-A-Za-z0-9]+", name):
        yield (
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
            "for validation is '[-A-Za-z0-9]+')"
        )


def port_name_problems(name: str) -> Iterator[str]:
    """IANA service names: ports of containers, target ports."""
    if len(name) > 15:
        yield "must be no more than 15 bytes"
    if not re.fullmatch("[-a-z0-9]+", name):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", name):
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"


def port_number_problems(port: int) -> Iterator[str]:
    if not 1 <= port <= 65535:
        yield "must be between 1 and 65535, inclusive"


def percent_problems(text: str) -> Iterator[str]:
    if not re.fullmatch("[0-9]+%", text):
        yield (
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
            "regex used for validation is '[0-9]+%')"
        )


def ip_problems(text: str) -> Iterator[str]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        yield "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def cidr_problems(text: str) -> Iterator[str]:
    try:
        ipaddress.ip_interface(text if "/" in text else "no prefix")
    except ValueError:
        yield "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


_VERSION = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?")
_STAGES = (None, "beta", "alpha")


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts GA before beta before alpha, higher first, then what is no such version by name
    (apimachinery version.CompareKubeAwareVersionStrings)."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return len(_STAGES), 0, 0, version
    return _STAGES.index(found[2]), -int(found[1]), -int(found[3] or 0), ""
