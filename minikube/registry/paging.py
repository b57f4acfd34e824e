"""Lists in pages: which options go together, the continue token, and the walk that fills a page.

Rules: kubernetes.io/docs/reference/using-api/api-concepts; metav1 validation.ValidateListOptions.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from minikube.errors import BadRequest, Expired, FieldError, Invalid
from minikube.kit.turns import Turns
from minikube.registry.base import Listing, ListOptions
from minikube.registry.conversion import Converting
from minikube.registry.selection import Matches
from minikube.registry.snapshot import Snapshot
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind

INCONSISTENT = -1
"""In place of a continue token's revision: go on from its key in the present state."""
TOKEN_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
_FORBIDDEN, _NOT_SUPPORTED = "FieldValueForbidden", "FieldValueNotSupported"


class Continue(msgspec.Struct, frozen=True):
    """What a continue token says: the snapshot's revision (or INCONSISTENT) and the first path to come."""

    v: str
    rv: int
    start: str

    @classmethod
    def at(cls, revision: int, start: str) -> Continue:
        return cls("meta.k8s.io/v1", revision, start)

    @classmethod
    def read(cls, token: str) -> Continue:
        """Raises BadRequest."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            return msgspec.json.decode(raw, type=cls)
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise BadRequest(f"continue key is not valid: {error}") from error

    def text(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    def expired(self) -> Expired:
        """What to say when its revision is gone, with a token for whom the present state will do."""
        return Expired(TOKEN_EXPIRED, continue_=Continue.at(INCONSISTENT, self.start).text())


def check_options(options: ListOptions) -> None:
    """Raises BadRequest, Invalid."""
    revision, match = options.resource_version, options.resource_version_match
    if options.continue_ and revision not in ("", "0"):
        raise BadRequest("specifying resource version is not allowed when using continue")
    if not match:
        return
    if options.continue_:
        raise _invalid_match(_FORBIDDEN, "Forbidden: resourceVersionMatch is forbidden when continue is provided")
    if not revision:
        raise _invalid_match(
            _FORBIDDEN, "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match not in ("Exact", "NotOlderThan"):
        raise _invalid_match(
            _NOT_SUPPORTED, f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        )
    if match == "Exact" and revision == "0":
        raise _invalid_match(
            _FORBIDDEN, 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        )


def _invalid_match(reason: str, message: str) -> Invalid:
    return Invalid.of("ListOptions", "meta.k8s.io", "", [FieldError("resourceVersionMatch", reason, message)])


async def page_of(
    snapshot: Snapshot,
    kind: Kind,
    matches: Matches | None,
    revision: int,
    limit: int,
    converting: Converting | None,
) -> Listing:
    """`limit` objects that match (0: all of them); `converting`, when fields of converted objects are compared.
    Looking through many leaves turns to others."""
    found: list[StoredObject] = []
    turns = Turns()
    for chunk in snapshot.chunks():
        if converting is not None:
            await converting.show(kind, [stored for _, stored in chunk])
        for path, stored in chunk:
            if limit and len(found) == limit:
                remaining = snapshot.left_from(path) if matches is None else None
                return Listing(found, revision, Continue.at(revision, path).text(), remaining)
            if matches is None or matches(stored):
                found.append(stored)
            if turns.over:
                await turns.pass_on()
    return Listing(found, revision)
