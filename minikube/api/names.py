"""What names may look like. Rules and words: k8s.io/apimachinery/pkg/util/validation."""

from __future__ import annotations

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
