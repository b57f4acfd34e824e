"""`authorizer` of expressions: its value, and who answers when one asks whether somebody may do something.

The value only carries names; `asking` says, around an evaluation, whom its checks are put to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

_KINDS = "kubernetes.authorization."
AUTHORIZER, PATH = _KINDS + "Authorizer", _KINDS + "PathCheck"
GROUP, RESOURCE, DECISION = _KINDS + "GroupCheck", _KINDS + "ResourceCheck", _KINDS + "Decision"
Wanted = Mapping[str, str]
"""account ("": the user of the request; else namespace/name), verb, and path, or group, resource, subresource,
namespace, name, fieldSelector and labelSelector."""


class Verdict(NamedTuple):
    allowed: bool
    reason: str = ""


Authority = Callable[[Wanted], Verdict]
_authority: ContextVar[Authority] = ContextVar("authority")


def authorizer(request: Wanted) -> Mapping[str, Any]:
    """What the variable is; `request` says what the request itself is about (group, resource, …)."""
    nobody_else = {"account": ""}
    return {
        AUTHORIZER: json.dumps(nobody_else),
        "requestResource": {RESOURCE: json.dumps({**nobody_else, **request})},
    }


@contextmanager
def asking(authority: Authority) -> Iterator[None]:
    token = _authority.set(authority)
    try:
        yield
    finally:
        _authority.reset(token)


def ask(wanted: Wanted) -> Verdict:
    """Raises ValueError: expressions are evaluated where nobody can be asked."""
    authority = _authority.get(None)
    if authority is None:
        raise ValueError("no authorizer")
    return authority(wanted)
