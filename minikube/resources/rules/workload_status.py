"""What controllers may say of workloads: counts that fit each other (Validate…StatusUpdate of pkg/apis/apps)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.apps_v1 import (
    DaemonSetStatus,
    DeploymentStatus,
    ReplicaSetStatus,
    StatefulSetStatus,
)
from minikube.api.core_v1 import ReplicationControllerStatus
from minikube.errors import FieldError
from minikube.resources.rules.invalid import invalid, not_negative

Counts = dict[str, int | None]


def _counts(counts: Counts, generation: int | None) -> Iterator[FieldError]:
    for name, count in counts.items():
        yield from not_negative(f"status.{name}", count)
    yield from not_negative("status.observedGeneration", generation)


def _part_of(counts: Counts, whole: int, *, of: str = "status.replicas") -> Iterator[FieldError]:
    for name, count in counts.items():
        if (count or 0) > whole:
            yield invalid(f"status.{name}", count or 0, f"cannot be greater than {of}")


def _collisions(now: int | None, before: int | None) -> Iterator[FieldError]:
    """The count that is mixed into hashes of templates only grows."""
    yield from not_negative("status.collisionCount", now)
    if (now or 0) < (before or 0):
        yield invalid("status.collisionCount", now or 0, "cannot be decremented")


def replica_set_status(status: ReplicaSetStatus | ReplicationControllerStatus) -> Iterator[FieldError]:
    parts: Counts = {
        "fullyLabeledReplicas": status.fully_labeled_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
    }
    yield from _counts({"replicas": status.replicas, **parts}, status.observed_generation)
    yield from _part_of(parts, status.replicas)
    yield from _part_of(
        {"availableReplicas": status.available_replicas}, status.ready_replicas or 0, of="readyReplicas"
    )


def deployment_status(status: DeploymentStatus, old: DeploymentStatus) -> Iterator[FieldError]:
    parts: Counts = {
        "updatedReplicas": status.updated_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
    }
    rest: Counts = {
        "unavailableReplicas": status.unavailable_replicas,
        "terminatingReplicas": status.terminating_replicas,
    }
    yield from _counts({"replicas": status.replicas, **parts, **rest}, status.observed_generation)
    yield from _part_of(parts, status.replicas or 0)
    yield from _part_of(
        {"availableReplicas": status.available_replicas}, status.ready_replicas or 0, of="readyReplicas"
    )
    yield from _collisions(status.collision_count, old.collision_count)


def daemon_set_status(status: DaemonSetStatus, old: DaemonSetStatus) -> Iterator[FieldError]:
    counts: Counts = {
        "currentNumberScheduled": status.current_number_scheduled,
        "numberMisscheduled": status.number_misscheduled,
        "desiredNumberScheduled": status.desired_number_scheduled,
        "numberReady": status.number_ready,
        "updatedNumberScheduled": status.updated_number_scheduled,
        "numberAvailable": status.number_available,
        "numberUnavailable": status.number_unavailable,
    }
    yield from _counts(counts, status.observed_generation)
    yield from _collisions(status.collision_count, old.collision_count)


def stateful_set_status(status: StatefulSetStatus, old: StatefulSetStatus) -> Iterator[FieldError]:
    parts: Counts = {
        "readyReplicas": status.ready_replicas,
        "currentReplicas": status.current_replicas,
        "updatedReplicas": status.updated_replicas,
        "availableReplicas": status.available_replicas,
    }
    yield from _counts({"replicas": status.replicas, **parts}, status.observed_generation)
    yield from _part_of(parts, status.replicas)
    available: Counts = {"availableReplicas": status.available_replicas}
    yield from _part_of(available, status.ready_replicas or 0, of="status.readyReplicas")
    yield from _collisions(status.collision_count, old.collision_count)
