"""What a row of probe results means: thresholds, and what holds before the first result. Pure.

Rules of pkg/kubelet/prober/worker.go.
"""

from __future__ import annotations

import enum

from minikube.api.core_v1 import Probe


class Kind(enum.Enum):
    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


class Tally:
    """`good` is the standing result; a single outcome moves it only at the end of a long enough run."""

    def __init__(self, kind: Kind, probe: Probe, *, good: bool | None = None) -> None:
        """`good` as known from before; else a liveness probe begins well and the others have yet to pass."""
        self.kind = kind
        self._needed = {True: probe.success_threshold or 1, False: probe.failure_threshold or 3}
        self.good = kind is Kind.LIVENESS if good is None else good
        self.failed = False
        """The container has to be restarted: no more probing."""
        self._last: bool | None = None
        self._run = 0

    def add(self, outcome: bool) -> bool:
        """One more conclusive result; whether something has changed by it."""
        self._run = self._run + 1 if outcome is self._last else 1
        self._last = outcome
        if self._run < self._needed[outcome]:
            return False
        if not outcome and self.kind is not Kind.READINESS:
            self.failed = True
        changed = self.failed or self.good is not outcome
        self.good = outcome
        return changed
