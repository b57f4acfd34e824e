"""What an admission plugin is: it sees the request, may change the object (mutators) or refuse it (validators).

Plugins are listed in order in `minikube.admission.plugins`: all mutators run, then all validators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from minikube.api.meta import Resource
from minikube.auth.base import User


class Attributes(msgspec.Struct):
    """One request as admission sees it. Mutators change `object` in place (a plain JSON tree)."""

    operation: str
    """CREATE, UPDATE, DELETE or CONNECT."""
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: dict[str, Any] | None
    old: Mapping[str, Any] | None
    user: User
    dry_run: bool = False
    options: Mapping[str, Any] = {}
    warnings: list[str] = []
    annotations: dict[str, str] = {}
    """What plugins note for the audit log."""
    rewritten: bool = False
    """A webhook changed the object: the mutators look at it once more."""
    again: bool = False
    """This is that second look."""
    seen: dict[str, bytes] = {}
    """By webhook: the object as it left it."""
    afterwards: list[Callable[[], None]] = []
    """To be called when the object has been stored, or is known never to be."""

    def over(self) -> None:
        while self.afterwards:
            self.afterwards.pop()()


@runtime_checkable
class Mutator(Protocol):
    name: ClassVar[str]

    async def admit(self, request: Attributes) -> None:
        """May change `request.object` in place. Raises Forbidden, or Invalid when it cannot."""
        ...


@runtime_checkable
class Validator(Protocol):
    name: ClassVar[str]

    async def validate(self, request: Attributes) -> None:
        """Raises Forbidden or Invalid."""
        ...
