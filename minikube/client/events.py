"""The events recorder: what `kubectl describe` shows under Events. Same happenings are counted, not repeated.

Rules from client-go tools/events and tools/record: one Event object per (involved object, reason, message, source),
its count and lastTimestamp patched; at most 25 bursts and one every 5 minutes per object of a kind of spam.
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
