"""NodeVolumeLimits: no more volumes of a CSI driver on a node than the driver says it can attach there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from minikube.api.meta import Object
from minikube.api.storage_v1 import CSINode, StorageClass
from minikube.api.volumes import claim_name, class_of_claim
from minikube.scheduler.framework import ClusterEvent, Cycle, NodeInfo, Reject

WHY = "node(s) exceed max volume count"


def attached(cycle: Cycle, pod: Pod) -> set[tuple[str, str]]:
    """(driver, volume handle) of the pod's CSI volumes; one that is not made yet goes by its claim."""
    found = set()
    for volume in pod.spec.volumes:
        name = claim_name(pod, volume)
        claim = cycle.listers[PersistentVolumeClaim].get(name, pod.metadata.namespace) if name else None
        if claim is None:
            continue
        persistent = cycle.listers[PersistentVolume].get(claim.spec.volume_name)
        if persistent is not None:
            if persistent.spec.csi is not None:
                found.add((persistent.spec.csi.driver, persistent.spec.csi.volume_handle))
            continue
        of = cycle.listers[StorageClass].get(class_of_claim(claim))
        if of is not None:
            found.add((of.provisioner, f"{claim.metadata.namespace}/{claim.metadata.name}"))
    return found


class NodeVolumeLimits:
    name: ClassVar[str] = "NodeVolumeLimits"
    reads: ClassVar[tuple[type[Object], ...]] = (PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode)

    def events(self) -> Iterable[ClusterEvent]:
        return (ClusterEvent(CSINode), ClusterEvent(Pod, lambda pod, old, new: new is None))

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        wanted = attached(cycle, pod)
        if wanted:
            cycle.state[self.name] = wanted
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        wanted = cycle.state.get(self.name, ())
        here = cycle.listers[CSINode].get(node.name) if wanted else None
        if here is None:
            return None
        limits = {
            one.name: one.allocatable.count
            for one in here.spec.drivers
            if one.allocatable is not None and one.allocatable.count is not None
        }
        wanted = {one for one in wanted if one[0] in limits}
        if not wanted:
            return None
        present = {one for other in node.pods for one in attached(cycle, other.pod)}
        for driver, limit in limits.items():
            new = [one for one in wanted - present if one[0] == driver]
            if new and len(new) + sum(1 for one in present if one[0] == driver) > limit:
                return Reject(WHY)
        return None
