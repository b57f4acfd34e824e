"""The plugin framework: small, pure, synchronous interfaces over an immutable snapshot of the nodes.

A plugin is one file in `plugins/` and one line in `plugins.PLUGINS`; it implements any of the protocols below.
The extension points and their meaning are those of kube-scheduler's scheduling framework.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from minikube.api.core_v1 import Node, Pod
from minikube.api.meta import Object
from minikube.client.base import Client, Informers, Lister
from minikube.client.events import EventRecorder
from minikube.kit.clock import Clock


class Code(enum.Enum):
    """Whether removing pods could make a rejected node fit."""

    UNSCHEDULABLE = "unschedulable"
    UNRESOLVABLE = "unresolvable"


class Reject(msgspec.Struct, frozen=True):
    """Why a node (or, from a PreFilter, every node) does not fit; the reason is counted in FailedScheduling."""

    reason: str
    code: Code = Code.UNSCHEDULABLE
    plugin: str = ""


class Only(msgspec.Struct, frozen=True):
    """A PreFilter's answer that just these nodes are worth a look (PreFilterResult)."""

    nodes: frozenset[str]


class Amounts(msgspec.Struct, frozen=True):
    """Resources in base units: cpu in millicores, memory and ephemeral storage in bytes, others in units."""

    cpu: int = 0
    memory: int = 0
    ephemeral_storage: int = 0
    pods: int = 0
    scalar: Mapping[str, int] = {}


class PodInfo(msgspec.Struct, frozen=True):
    """A pod with what plugins ask of it again and again."""

    pod: Pod
    requests: Amounts
    non_zero_cpu: int
    non_zero_memory: int


class NodeInfo(msgspec.Struct, frozen=True):
    """A node and what is on it (assumed pods included). Treat as immutable."""

    node: Node
    pods: tuple[PodInfo, ...] = ()
    requested: Amounts = Amounts()
    allocatable: Amounts = Amounts()
    host_ports: frozenset[tuple[str, str, int]] = frozenset()
    """(host IP, protocol, port) in use."""
    image_sizes: Mapping[str, int] = {}
    non_zero_cpu: int = 0
    non_zero_memory: int = 0
    """Sums over the pods, with a default for containers that ask for nothing."""
    with_affinity: tuple[PodInfo, ...] = ()
    """The pods on it that have terms of inter-pod (anti-)affinity themselves."""

    @property
    def name(self) -> str:
        return self.node.metadata.name


class Cycle(msgspec.Struct):
    """State of one scheduling attempt; a plugin keeps what its PreFilter computed under its own name. `nominated`:
    pods that wait for room on a node which others made for them."""

    nodes: Sequence[NodeInfo] = ()
    nominated: Mapping[str, Sequence[PodInfo]] = {}
    listers: Mapping[type, Lister[Any]] = {}
    state: dict[str, Any] = {}


class Handle(msgspec.Struct, frozen=True):
    """What a plugin may do I/O with, at PreBind; `client` acts as the scheduler."""

    client: Client
    informers: Informers
    events: EventRecorder
    clock: Clock


class ClusterEvent(msgspec.Struct, frozen=True):
    """A change of `kind` that may make a pod rejected by a plugin fit; `wakes(pod, old, new)` narrows it down
    (old None: added, new None: deleted)."""

    kind: type[Object]
    wakes: Callable[[Pod, Any, Any], bool] = lambda pod, old, new: True


class Plugin(Protocol):
    """Built once, without arguments; it may keep state of its own across attempts (what it has reserved).

    `sees_pods = True` says that its PreFilter looks at the pods of all nodes, so that preemption asks it again for
    every set of pods that it thinks away."""

    name: ClassVar[str]


class Reader(Plugin, Protocol):
    reads: ClassVar[tuple[type[Object], ...]]
    """Kinds whose listers the plugin finds in `cycle.listers`; the scheduler starts when they are synced."""


class EnqueueExtension(Plugin, Protocol):
    def events(self) -> Iterable[ClusterEvent]:
        """Which changes are worth another try for a pod this plugin rejected."""
        ...


class PreFilter(Plugin, Protocol):
    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | Only | None:
        """Once an attempt, before the nodes: may compute into `cycle`, reject the pod or narrow the nodes."""
        ...


class Filter(Plugin, Protocol):
    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        """None: it fits."""
        ...


class PreScore(Plugin, Protocol):
    def pre_score(self, cycle: Cycle, pod: Pod, nodes: Sequence[NodeInfo]) -> None: ...


class Score(Plugin, Protocol):
    weight: ClassVar[int]

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        """0 (worst) to 100 (best) unless `normalize` brings it there."""
        ...


class Normalize(Plugin, Protocol):
    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None:
        """Scores by node name, brought to 0..100 in place."""
        ...


class Reserve(Plugin, Protocol):
    """Takes for the pod, in memory, what no later attempt may take again; asked in the order of PLUGINS."""

    def reserve(self, cycle: Cycle, pod: Pod, node: str) -> Reject | None:
        """A Reject gives everything back and the pod is tried again."""
        ...

    def unreserve(self, cycle: Cycle, pod: Pod, node: str) -> None:
        """Gives it back, in reverse order, when a later step fails; also called if `reserve` was not."""
        ...


class PreBind(Plugin, Protocol):
    async def pre_bind(self, handle: Handle, cycle: Cycle, pod: Pod, node: str) -> None:
        """What must be done in the API before the binding; it may wait for others, the scheduler goes on meanwhile.
        Raises ApiError: everything is unreserved and the pod is tried again."""
        ...
