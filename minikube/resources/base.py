"""How a kind is declared: where it is served, what it looks like in a table, and its exceptions (Strategy).

One file per API group declares its kinds as `Kind(...)`; `minikube.resources.all` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic

import msgspec

from minikube.api.admissionregistration_v1 import WebhookClientConfig
from minikube.api.authentication_v1 import UserInfo
from minikube.api.meta import Object, Resource, T
from minikube.api.names import subdomain_problems
from minikube.errors import FieldError

Obj = dict[str, Any]
"""An object as plain JSON, ours to change."""
ReadOnlyObj = Mapping[str, Any]
"""An object as plain JSON that must not be changed: it is shared."""


class Strategy(Generic[T]):
    """The exceptions of a kind. Every hook does nothing by default; this is the order they run in.

    The registry does what is the same for all kinds: metadata (name, generateName, uid, timestamps),
    generation (of counted kinds), status dropped on create and kept on update, spec kept on a status update,
    metadata validation.
    """

    keeps_status: ClassVar[bool] = False
    """Whoever creates it may say its status at once; of other kinds it is dropped then."""

    def name_problems(self, name: str) -> Iterator[str]:
        """What is wrong with a name of this kind; most kinds take an RFC 1123 subdomain."""
        return subdomain_problems(name)

    def default(self, new: Obj) -> None:
        """Fill in what the client left out, beyond the schema's own defaults. Runs after every mutation."""

    def prepare_create(self, new: Obj) -> None: ...

    def requested_by(self, new: Obj, user: UserInfo) -> None:
        """Write down who creates it, for kinds that say so (spec.username of a signing request)."""

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None: ...

    def prepare_status(self, new: Obj, old: ReadOnlyObj) -> None:
        """Of an update through /status."""

    def prepare_subresource(self, new: Obj, old: ReadOnlyObj, subresource: str) -> None:
        """Of an update through another subresource than status."""

    def validate(self, new: T, old: T | None) -> Iterator[FieldError]:
        """Everything wrong with it; `old` is None on create. Never mutates."""
        yield from ()

    def validate_status(self, new: T, old: T) -> Iterator[FieldError]:
        yield from ()

    def validate_subresource(self, new: T, old: T, subresource: str) -> Iterator[FieldError]:
        """Everything wrong with an update through another subresource than status (binding, resize, finalize …)."""
        yield from ()

    def warnings(self, new: T, old: T | None) -> Iterator[str]:
        """What is valid but unwise, for Warning headers; `old` is None on create."""
        yield from ()

    def status_warnings(self, new: T, old: T) -> Iterator[str]:
        """The same of an update through /status."""
        yield from ()

    def fields(self, obj: T) -> Mapping[str, str]:
        """Field selectors beside metadata.name and metadata.namespace. `obj` is of the stored version; the keys are
        always the same."""
        return {}

    def deletion_grace(self, obj: T, asked: int | None) -> int:
        """Seconds an object stays with a deletionTimestamp, waiting for its node; 0: gone at once."""
        return 0

    def held(self, obj: ReadOnlyObj) -> bool:
        """Whether something beside metadata.finalizers keeps an object that is to be deleted."""
        return False

    def prepare_delete(self, new: Obj) -> None:
        """What else changes when an object gets its deletionTimestamp."""


PLAIN: Strategy[Any] = Strategy()
"""Of kinds without exceptions."""


class Column(msgspec.Struct, frozen=True):
    """A printer column; priority 1 shows with `-o wide` only. `type`: string, integer, number, boolean, date."""

    name: str
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


Row = Callable[[Any, datetime], Sequence[Any]]
"""(typed object, now) -> one cell a column."""


def age(at: datetime | None, now: datetime) -> str:
    """5s, 3m20s, 2d4h as kubectl shows it (k8s.io/apimachinery duration.HumanDuration); <unknown> if unset."""
    if at is None:
        return "<unknown>"
    return human_duration((now - at).total_seconds())


def human_duration(seconds: float) -> str:
    """The rules of k8s.io/apimachinery/pkg/util/duration.HumanDuration."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        rest = total % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        rest = minutes % 60
        return f"{hours}h{rest}m" if rest else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        rest = hours % 24
        return f"{days}d{rest}h" if rest else f"{days}d"
    if days < 730:
        return f"{days}d"
    years, rest = divmod(days, 365)
    if days < 365 * 8:
        return f"{years}y{rest}d" if rest else f"{years}y"
    return f"{years}y"


NAME_AGE = (Column("Name", format="name"), Column("Age"))


def name_age(obj: Object, now: datetime) -> Sequence[Any]:
    return (obj.metadata.name, age(obj.metadata.creation_timestamp, now))


ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class ScalePaths(msgspec.Struct, frozen=True):
    """Where a kind keeps what /scale shows, as dotted paths."""

    replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "status.selector"


class Conversion(msgspec.Struct, frozen=True):
    """The webhook that makes versions of a custom resource of each other, and the ConversionReviews it speaks."""

    target: WebhookClientConfig
    review_versions: tuple[str, ...]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One served kind in one version. Custom resources get theirs at run time (`type` PartialObject)."""

    resource: Resource
    type: type[Object]
    definition: str = ""
    """Its full name in schema/builtin.json, e.g. io.k8s.api.core.v1.Pod."""
    schema: Mapping[str, Any] | None = None
    """The OpenAPI schema of a custom resource; such a kind has no definition and its row gets the plain tree."""
    strategy: Strategy[Any] = msgspec.field(default_factory=lambda: PLAIN)
    singular: str = ""
    """Default: the kind in lower case."""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = NAME_AGE
    row: Row = name_age
    verbs: tuple[str, ...] = ALL_VERBS
    """Only ("create",) for reviews that are never stored."""
    terminating: bool = False
    """Its definition is being deleted: what there is may be read and deleted, nothing new comes."""
    counted: bool = False
    """Has a metadata.generation: 1 at creation, one more with every change of anything but metadata and status."""
    status: bool = False
    """Has a /status subresource."""
    status_metadata: tuple[str, ...] = ("labels", "annotations", "finalizers", "ownerReferences")
    """The metadata that a write to /status may change; younger kinds let it change none."""
    scale: ScalePaths | None = None
    selectable: tuple[str, ...] = ()
    """JSON paths that field selectors may name; built-in kinds have `Strategy.fields` instead."""
    subresources: tuple[str, ...] = ()
    """Others: binding, eviction, token, log, exec … each served by its own handler."""
    stored_as: Resource | None = None
    """The version it is stored in, when that is another one."""
    to_stored: Callable[[Obj], Obj] | None = None
    from_stored: Callable[[Obj], Obj] | None = None
    """Conversion to and from the stored version."""
    conversion: Conversion | None = None
    """Of a custom resource; without one its versions differ by name only."""
    deprecated: str = ""
    """What every request for it is warned of."""
    create_on_update: bool = False
    """PUT to a name that does not exist creates it."""
    events_ttl: float = 0
    """Seconds after which an object of this kind expires; 0: never."""

    @property
    def storage(self) -> Resource:
        return self.stored_as or self.resource


def kinds(*declared: Iterable[Kind]) -> tuple[Kind, ...]:
    return tuple(kind for group in declared for kind in group)
