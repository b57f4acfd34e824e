"""Why containers of one pod are not there yet, and when each is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from minikube.kit.backoff import Backoff
from minikube.kit.clock import Clock
from minikube.node.pod.observed import Problem

RETRY = 10.0
"""Seconds until something that the API or the node may mend by itself is tried again (kubelet backOffPeriod)."""
SHOWN = 1.0
"""Seconds for which a failed pull shows as ErrImagePull before it shows as ImagePullBackOff."""


class ConfigProblem(Exception):
    """Something the pod refers to is missing or wrong; it is tried again. `reason` is that of a waiting container
    or an event, "" the usual one of the place: CreateContainerConfigError, FailedMount."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class Problems:
    """By container name; "" is the sandbox."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, Problem] = {}
        self._pulls: Backoff[str] = Backoff(base=10.0, limit=300.0)
        self._sandbox: Backoff[str] = Backoff(base=1.0, limit=RETRY)

    def current(self) -> Mapping[str, Problem]:
        return dict(self._held)

    def failed(self, name: str, reason: str, message: str, *, after: float | None = RETRY) -> None:
        """`after` None: only shown, it holds nothing up."""
        retry = self._clock.now() + timedelta(seconds=after) if after is not None else None
        self._held[name] = Problem(reason, message, retry)

    def pull_failed(self, name: str, message: str) -> None:
        self.failed(name, "ErrImagePull", message, after=self._pulls.next(name))

    def sandbox_failed(self) -> None:
        self.failed("", "ContainerCreating", "", after=self._sandbox.next(""))

    def solved(self, name: str) -> None:
        self._held.pop(name, None)
        self._pulls.forget(name)
        self._sandbox.forget(name)

    def clear(self) -> None:
        """Try everything again now: the pod has changed."""
        self._held.clear()

    def start_backing_off(self, name: str, image: str) -> str:
        """A failed pull becomes ImagePullBackOff; the text of its event, or "" when there is none to tell."""
        problem = self._held.get(name)
        if problem is None or problem.reason != "ErrImagePull":
            return ""
        text = f'Back-off pulling image "{image}"'
        self._held[name] = Problem("ImagePullBackOff", f"{text}: ErrImagePull: {problem.message}", problem.retry_at)
        return text
