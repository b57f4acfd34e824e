"""Changes that give rejected pods another try, as plugins name them in `events()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minikube.api.core_v1 import Node, Pod
from minikube.scheduler.framework import ClusterEvent


def node_changed(part: Callable[[Node], Any]) -> ClusterEvent:
    """A new node, or one of which this part changed."""

    def wakes(pod: Pod, old: Node | None, new: Node | None) -> bool:
        return new is not None and (old is None or part(old) != part(new))

    return ClusterEvent(Node, wakes)


def room_made() -> tuple[ClusterEvent, ...]:
    """A pod left its node, or ended there, or asks for less."""

    def wakes(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
        if old is None or not old.spec.node_name:
            return False
        return new is None or (not ended(old) and ended(new)) or old.spec.containers != new.spec.containers

    return (ClusterEvent(Pod, wakes),)


def neighbours_changed() -> ClusterEvent:
    """A pod came to a node, left it, or has other labels there."""

    def wakes(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
        was = old is not None and bool(old.spec.node_name) and not ended(old)
        now = new is not None and bool(new.spec.node_name) and not ended(new)
        if was and now:
            assert old is not None
            assert new is not None
            gone = (old.metadata.deletion_timestamp is None) != (new.metadata.deletion_timestamp is None)
            return gone or old.metadata.labels != new.metadata.labels
        return was or now

    return ClusterEvent(Pod, wakes)


def ended(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")
