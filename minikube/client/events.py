"""The events recorder: what `kubectl describe` shows under Events. Same happenings are counted, not repeated.

One Event for all that is the same, its count and lastTimestamp patched; `correlation` has the rules.
"""

from __future__ import annotations

from typing import Protocol

from minikube.api.meta import Object


class EventRecorder(Protocol):
    def normal(self, about: Object, reason: str, message: str, *, field: str = "") -> None:
        """Record a Normal event; never blocks and never raises: recording is best effort. `field` is the path of
        the part of the object that it is about: spec.containers{web}."""
        ...

    def warning(self, about: Object, reason: str, message: str, *, field: str = "") -> None: ...
