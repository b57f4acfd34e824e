"""What the volumes of pods hold, for /stats/summary and /metrics; looked at once a minute, as the kubelet does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from minikube.api import time
from minikube.api.core_v1 import Pod
from minikube.api.volumes import claim_name
from minikube.node.volumes.usage import Measures

if TYPE_CHECKING:
    from minikube.node.agent import Agent

Json = dict[str, Any]
FRESH = timedelta(minutes=1)


class VolumeStats:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._found: dict[str, tuple[datetime, Sequence[Json]]] = {}

    async def of(self, pod: Pod) -> Sequence[Json]:
        """The VolumeStats of a pod's summary."""
        now, uid = self._agent.clock.now(), pod.metadata.uid
        at, found = self._found.get(uid, (datetime.min.replace(tzinfo=now.tzinfo), ()))
        if now - at >= FRESH:
            found = tuple(volume_stats(pod, await self._agent.volume_measures(pod), now))
            self._found[uid] = now, found
            for gone in self._found.keys() - self._agent.workers.keys():
                del self._found[gone]
        return found


def volume_stats(pod: Pod, measures: Mapping[str, Measures], at: datetime) -> Iterator[Json]:
    for volume in pod.spec.volumes:
        if (found := measures.get(volume.name)) is None:
            continue
        out: Json = {
            "time": time.text(at),
            "availableBytes": found.available.used,
            "capacityBytes": found.capacity.used,
            "usedBytes": found.used.used,
            "inodesFree": found.available.inodes,
            "inodes": found.capacity.inodes,
            "inodesUsed": found.used.inodes,
            "name": volume.name,
        }
        if claim := claim_name(pod, volume):
            out["pvcRef"] = {"name": claim, "namespace": pod.metadata.namespace}
        yield out
