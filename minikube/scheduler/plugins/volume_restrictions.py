"""VolumeRestrictions: claims for one pod at a time, and disks that only one pod on a node may write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from minikube.api.core_v1 import PersistentVolumeClaim, Pod, Volume
from minikube.api.meta import Object
from minikube.api.volumes import claim_names
from minikube.scheduler.framework import ClusterEvent, Cycle, NodeInfo, Reject

ONCE_POD = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
DISK = "node(s) had no available disk"


def disk(volume: Volume) -> tuple[Any, bool] | None:
    """(what it is, whether it is mounted read-only) of a volume that is a single disk."""
    if (gce := volume.gce_persistent_disk) is not None:
        return ("gce", gce.pd_name), bool(gce.read_only)
    if (ebs := volume.aws_elastic_block_store) is not None:
        return ("ebs", ebs.volume_id), False
    if (iscsi := volume.iscsi) is not None:
        return ("iscsi", iscsi.iqn), bool(iscsi.read_only)
    if (rbd := volume.rbd) is not None:
        return ("rbd", tuple(sorted(rbd.monitors)), rbd.pool, rbd.image), bool(rbd.read_only)
    return None


def disks(pod: Pod) -> Iterable[tuple[Any, bool]]:
    for volume in pod.spec.volumes:
        if (found := disk(volume)) is not None:
            yield found


class VolumeRestrictions:
    name: ClassVar[str] = "VolumeRestrictions"
    reads: ClassVar[tuple[type[Object], ...]] = (PersistentVolumeClaim,)

    def events(self) -> Iterable[ClusterEvent]:
        return (
            ClusterEvent(Pod, lambda pod, old, new: new is None),
            ClusterEvent(PersistentVolumeClaim, lambda pod, old, new: old is None),
        )

    def pre_filter(self, cycle: Cycle, pod: Pod) -> Reject | None:
        """Remembers on which nodes other pods use a ReadWriteOncePod claim of this one."""
        claims = cycle.listers[PersistentVolumeClaim]
        mine = set()
        for name in claim_names(pod):
            claim = claims.get(name, pod.metadata.namespace)
            if claim is not None and "ReadWriteOncePod" in claim.spec.access_modes:
                mine.add(name)
        if mine:
            used = {node.name for node in cycle.nodes if _users(node, pod, mine)}
            cycle.state[self.name] = frozenset(mine), frozenset(used)
        return None

    def filter(self, cycle: Cycle, pod: Pod, node: NodeInfo) -> Reject | None:
        state = cycle.state.get(self.name)
        if state is not None:
            claims, used = state
            # Of this node what is on it now counts (preemption asks without the victims), of others what was seen.
            if used - {node.name} or _users(node, pod, claims):
                return Reject(ONCE_POD)
        mine = list(disks(pod))
        if mine:
            for other in node.pods:
                for what, read_only in disks(other.pod):
                    if any(what == own and not (read_only and own_read_only) for own, own_read_only in mine):
                        return Reject(DISK)
        return None


def _users(node: NodeInfo, pod: Pod, claims: Iterable[str]) -> list[str]:
    """Uids of other pods on the node that use any of these claims."""
    wanted, namespace = set(claims), pod.metadata.namespace
    return [
        other.pod.metadata.uid
        for other in node.pods
        if other.pod.metadata.namespace == namespace
        and other.pod.metadata.uid != pod.metadata.uid
        and wanted & set(claim_names(other.pod))
    ]
