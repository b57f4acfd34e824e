"""Pods for which others were made to leave a node: nobody less important may take their place meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minikube.api.core_v1 import Pod
from minikube.scheduler.framework import PodInfo
from minikube.scheduler.requests import pod_info


class Nominated:
    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, PodInfo]] = {}

    def put(self, pod: Pod, node: str) -> None:
        """An empty node leaves what is known: the status may not say yet what was just decided."""
        if node:
            self._pods[pod.metadata.uid] = (node, pod_info(pod))

    def remove(self, uid: str) -> None:
        self._pods.pop(uid, None)

    def displaced(self, node: str, priority: int) -> Sequence[Pod]:
        """Take the node from those who are less important than the one that has just got it."""
        found = [
            pod.pod
            for where, pod in self._pods.values()
            if where == node and (pod.pod.spec.priority or 0) < priority
        ]
        for pod in found:
            self.remove(pod.metadata.uid)
        return found

    def by_node(self) -> Mapping[str, Sequence[PodInfo]]:
        found: dict[str, list[PodInfo]] = {}
        for node, pod in self._pods.values():
            found.setdefault(node, []).append(pod)
        return found
