"""The control groups of this node's pods: made before a sandbox, weighed by tier, removed when the pod is over."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterable, Sequence

from msgspec import structs

from minikube.api.core_v1 import Pod
from minikube.node.host.cgroups import Cgroups, Group, burstable_group, pod_group, pod_parent, shares
from minikube.resources.qos import qos_class
from minikube.settings import Settings

log = logging.getLogger(__name__)


class PodGroups:
    """All calls block (briefly): make them in a thread. Raise OSError."""

    def __init__(self, settings: Settings, page_sizes: Sequence[str] = ()) -> None:
        self._page_sizes = page_sizes
        self._root = settings.cgroup_root
        self._pids = settings.pod_max_pids
        self.cgroups = Cgroups(settings.cgroup_root)

    def start(self, cpu: float, memory: int) -> None:
        """`cpu` cores and `memory` bytes are what pods may use together."""
        self.cgroups.ensure(self._root, Group(cpu_shares=shares(cpu), memory=memory))
        for tier in ("burstable", "besteffort"):
            if not self.cgroups.exists(f"{self._root}/{tier}"):  # else it weighs what the pods in it still request
                self.cgroups.ensure(f"{self._root}/{tier}", Group())

    def admit(self, pod: Pod, pods: Iterable[Pod]) -> None:
        """The pod's group for its sandbox, which starts with all cores: in 10m, runc alone takes half a minute.
        `pods` are all pods of the node."""
        self.cgroups.ensure(pod_parent(self._root, pod), structs.replace(self._group(pod), cpu_quota=0))
        self._weigh(pods)

    def limit(self, pod: Pod, pods: Iterable[Pod]) -> None:
        """The pod's group with all its limits, before a container starts in it."""
        self.cgroups.ensure(pod_parent(self._root, pod), self._group(pod))
        self._weigh(pods)

    def _group(self, pod: Pod) -> Group:
        return pod_group(pod, pids=self._pids, page_sizes=self._page_sizes)

    def remove(self, pod: Pod, pods: Iterable[Pod]) -> None:
        self._clear(pod_parent(self._root, pod))
        self._weigh(other for other in pods if other.metadata.uid != pod.metadata.uid)

    def keep_only(self, uids: frozenset[str]) -> None:
        """Groups that a killed agent left behind go, with what still runs in them."""
        for uid, path in self.cgroups.pods().items():
            if uid not in uids:
                self._clear(path)

    def _weigh(self, pods: Iterable[Pod]) -> None:
        burstable = [pod for pod in pods if qos_class(pod.spec) == "Burstable"]
        self.cgroups.ensure(f"{self._root}/burstable", burstable_group(burstable))

    def _clear(self, path: str) -> None:
        if self.cgroups.remove(path):
            return
        for pid in self.cgroups.processes(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not self.cgroups.remove(path):
            log.info("control group %s is still busy; it goes at the next start", path)
