"""What is seen of one pod on this node: the only thing, beside the pod and the time, that decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from minikube.api.core_v1 import PodCondition, ResourceRequirements, ResourceStatus
from minikube.node.runtime.base import Container, Sandbox, State


class Problem(msgspec.Struct, frozen=True):
    """Why a container is not there yet, and when to try again."""

    reason: str
    message: str
    retry_at: datetime | None = None


class Ending(msgspec.Struct, frozen=True):
    """The node's own decision to end a pod that nobody deleted: rejected, evicted, preempted, shut down."""

    reason: str
    """The pod's status.reason: Evicted, OutOfcpu, Terminated …"""
    message: str
    grace: float | None = None
    """None: the pod's own."""
    disruption: str = ""
    """The reason of its DisruptionTarget condition, if it gets one: TerminationByKubelet."""
    disruption_message: str = ""
    """Of that condition; empty: `message`."""
    rejected: bool = False
    """Never admitted: there is nothing to say about its containers."""


class Observed(msgspec.Struct, frozen=True):
    """The runtime's and the probes' view of one pod; containers of all attempts."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[Container, ...] = ()
    ips: tuple[str, ...] = ()
    started: frozenset[str] = frozenset()
    """Ids of containers whose startup probe (if any) has passed and whose postStart is over."""
    ready: frozenset[str] = frozenset()
    unhealthy: Mapping[str, str] = {}
    """Container id -> the probe that wants it restarted: liveness or startup."""
    problems: Mapping[str, Problem] = {}
    """By container name; "" is the sandbox."""
    delays: Mapping[str, float] = {}
    """Container name -> seconds to wait after its end before it starts again."""
    to_update: frozenset[str] = frozenset()
    """Ids of running containers that get new resources as they run."""
    to_restart: frozenset[str] = frozenset()
    """Ids of running containers that have to start anew to get their new resources."""
    hooking: frozenset[str] = frozenset()
    """Ids of containers whose postStart still runs: to the API they are not there yet."""
    allocated: Mapping[str, ResourceRequirements] = {}
    """Container name -> what the node has set aside for it; not there: what its spec says."""
    actual: Mapping[str, ResourceRequirements] = {}
    """Container id -> what it runs with; not there: what is allocated."""
    whole: ResourceRequirements | None = None
    """What the pod has as a whole, if it has resources of its own."""
    resize: tuple[PodCondition, ...] = ()
    """PodResizePending and PodResizeInProgress, while they hold."""
    ending: Ending | None = None
    gone_by: datetime | None = None
    """When the grace of a deleted pod is over by this node's clock; None: it has only the API's word for it."""
    recursive_read_only: bool = False
    """Whether the runtime can mount so."""
    devices: Mapping[str, tuple[ResourceStatus, ...]] = {}
    """Container name -> how the devices are that it has from plugins."""
    renewed: frozenset[str] = frozenset()
    """Ids of runs that are followed by others because all containers restart (restarts.renewed)."""

    followed: frozenset[str] = frozenset()
    """Ids of runs that we end, or have ended, for another to follow, whatever the restart policy says of them."""

    @property
    def sandbox(self) -> Sandbox | None:
        newest = max(self.sandboxes, key=lambda each: each.attempt, default=None)
        return newest if newest is not None and newest.ready else None

    @property
    def running(self) -> bool:
        """Whether anything runs, or may still run."""
        return any(each.state in (State.RUNNING, State.UNKNOWN) for each in self.containers)

    def latest(self, name: str) -> Container | None:
        return max((each for each in self.containers if each.name == name), key=lambda c: c.attempt, default=None)

    def previous(self, name: str) -> Container | None:
        """The attempt before the latest, while the runtime still knows it."""
        attempts = sorted((each for each in self.containers if each.name == name), key=lambda c: c.attempt)
        return attempts[-2] if len(attempts) > 1 else None

    def here(self, name: str) -> Container | None:
        """The latest attempt, if it belongs to the sandbox that is ready now and is not one to be followed."""
        latest, sandbox = self.latest(name), self.sandbox
        if latest is None or sandbox is None or latest.sandbox != sandbox.id or latest.id in self.renewed:
            return None
        return latest

    @property
    def restarting_all(self) -> bool:
        """Whether all containers are to restart and none has yet."""
        names = {each.name for each in self.containers if each.id in self.renewed}
        return bool(names) and all(self._is_renewed(name) for name in names)

    def _is_renewed(self, name: str) -> bool:
        latest = self.latest(name)
        return latest is not None and latest.id in self.renewed
