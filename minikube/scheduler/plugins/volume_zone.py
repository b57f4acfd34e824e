"""VolumeZone: a bound volume with zone or region labels is used in its zone only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from minikube.api.meta import Object
from minikube.api.volumes import claim_names, topology_labels
from minikube.scheduler.framework import ClusterEvent, Code, Cycle, NodeInfo, Reject
from minikube.scheduler.plugins.volume_binding import uses, with_claims

LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
WHY = "node(s) had no available volume zone"


class VolumeZone:
    name: ClassVar[str] = "VolumeZone"
    reads: ClassVar[tuple[type[Object], ...]] = (PersistentVolumeClaim, PersistentVolume)

    def events(self) -> Iterable[ClusterEvent]:
        return (ClusterEvent(PersistentVolumeClaim, uses), ClusterEvent(PersistentVolume, with_claims))

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        wanted = []
        for name in claim_names(pod):
            claim = cycle.listers[PersistentVolumeClaim].get(name, pod.metadata.namespace)
            volume = cycle.listers[PersistentVolume].get(claim.spec.volume_name) if claim is not None else None
            if volume is not None and (found := topology_labels(volume, LABELS)):
                wanted.append(found)
        if wanted:
            cycle.state[self.name] = wanted
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        labels = node.node.metadata.labels
        if not any(key in labels for key in LABELS):
            return None
        for wanted in cycle.state.get(self.name, ()):
            if any(labels.get(key) not in values for key, values in wanted.items()):
                return Reject(WHY, Code.UNRESOLVABLE)
        return None
