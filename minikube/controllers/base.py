"""What a controller is: a name, the changes that interest it, and a reconcile of one key.

A reconciler reads the present from listers, decides with a pure function, then acts. Raising is the one way
to retry (with back-off); `After(seconds)` asks to be called again without a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from minikube.admission.quota.reservations import Reservations
from minikube.api.admissionregistration_v1 import ExpressionWarning, ValidatingAdmissionPolicy
from minikube.api.meta import Key, Object
from minikube.client.base import Client, PartialInformers
from minikube.client.events import EventRecorder
from minikube.kit.clock import Clock
from minikube.settings import Settings


class After(msgspec.Struct, frozen=True):
    """Reconcile this key again in so many seconds."""

    seconds: float


class Watch(msgspec.Struct, frozen=True):
    """Changes of `kind` become the keys that `keys(object)` yields; it is called for the old and the new."""

    kind: type[Object]
    keys: Callable[[Any], Iterable[Key]]


def itself(kind: type[Object]) -> Watch:
    """Each object of `kind` is its own key."""
    return Watch(kind, lambda obj: (Key(obj.metadata.namespace, obj.metadata.name),))


def owner_of(kind: type[Object], owner_kind: str) -> Watch:
    """A change of `kind` is work for its controlling owner of kind `owner_kind`."""

    def keys(obj: Object) -> Iterable[Key]:
        for reference in obj.metadata.owner_references:
            if reference.controller and reference.kind == owner_kind:
                yield Key(obj.metadata.namespace, reference.name)

    return Watch(kind, keys)


class Context(msgspec.Struct, frozen=True):
    """What a controller is built from. `client` acts as the controller's own service account."""

    client: Client
    informers: PartialInformers
    events: EventRecorder
    clock: Clock
    settings: Settings
    reservations: Reservations
    """What admission has charged to quotas and not seen stored yet."""
    check_types: Callable[[ValidatingAdmissionPolicy], Sequence[ExpressionWarning]]
    """Which expressions of a policy do not suit the kinds it is about; for threads."""


class Controller(Protocol):
    """Built as `SomeController(context)`; listed in `minikube.controllers.all`."""

    name: ClassVar[str]
    """The upstream service account's name in kube-system, e.g. deployment-controller."""
    watches: tuple[Watch, ...]
    workers: ClassVar[int]

    async def reconcile(self, key: Key) -> After | None:
        """Make the present what it should be. Raising means once more after a back-off; After: look again then."""
        ...


@runtime_checkable
class Background(Protocol):
    """A controller may also have a `run` of its own, which finds keys where no Watch can."""

    async def run(self, enqueue: Callable[[Key], None]) -> None:
        """Until cancelled."""
        ...
