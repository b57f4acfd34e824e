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
from minikube.client.base import Lister


class Code(enum.Enum):
    """Whether removing pods could make a rejected node fit."""

    UNSCHEDULABLE = "unschedulable"
    UNRESOLVABLE = "unresolvable"


class Reject(msgspec.Struct, frozen=True):
    """Why a node (or, from a PreFilter, every node) does not fit; the reason is counted in FailedScheduling."""

    reason: str
    code: Code = Code.UNSCHEDULABLE
    plugin: str = ""


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

    @property
    def name(self) -> str:
        return self.node.metadata.name


class Cycle(msgspec.Struct):
    """State of one scheduling attempt; a plugin keeps what its PreFilter computed under its own name."""

    nodes: Sequence[NodeInfo] = ()
    listers: Mapping[type, Lister[Any]] = {}
    state: dict[str, Any] = {}


class ClusterEvent(msgspec.Struct, frozen=True):
    """A change of `kind` that may make a pod rejected by a plugin fit; `wakes` narrows it down."""

    kind: type
    wakes: Callable[[Pod, Any, Any], bool] = lambda pod, old, new: True


class Plugin(Protocol):
    name: ClassVar[str]


class EnqueueExtension(Plugin, Protocol):
    def events(self) -> Iterable[ClusterEvent]:
        """Which changes are worth another try for a pod this plugin rejected."""
        ...


class PreFilter(Plugin, Protocol):
    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None: ...


class Filter(Plugin, Protocol):
    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None: ...


class PostFilter(Plugin, Protocol):
    def post_filter(self, cycle: Cycle, pod: Pod, rejected: Mapping[str, Reject]) -> Any: ...


class PreScore(Plugin, Protocol):
    def pre_score(self, cycle: Cycle, pod: Pod, nodes: Sequence[NodeInfo]) -> None: ...


class Score(Plugin, Protocol):
    weight: ClassVar[int]

    def score(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> int:
        """0 (worst) to 100 (best) unless `normalize` brings it there."""
        ...


class Normalize(Plugin, Protocol):
    def normalize(self, cycle: Cycle, pod: Pod, scores: dict[str, int]) -> None: ...
