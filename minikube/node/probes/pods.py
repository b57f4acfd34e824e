"""The probes of a node's pods: which run now, and what they say of the containers that do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod
from minikube.kit.clock import Clock
from minikube.node.pod.observed import Observed
from minikube.node.pod.pods import containers_of, is_terminal
from minikube.node.probes.prober import Counted, Prober, probes_of
from minikube.node.probes.tally import Kind
from minikube.node.runtime.base import Container, Runtime, State


class PodProbes:
    """`told(pod, container, reason, message)`: a result has changed, without reason when nobody is to hear of it.
    Simulated containers are not probed; they count as passing."""

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        host_ips: Sequence[str],
        told: Callable[[Pod, Wanted, str, str], None],
        *,
        simulated: bool,
    ) -> None:
        self._prober = Prober(runtime, clock, told)
        self._host_ips, self._simulated = host_ips, simulated

    def follow(self, pod: Pod, observed: Observed, proven: Mapping[str, bool]) -> None:
        """Probe what runs now, and nothing else; of a pod that ends, only whether it is still ready."""
        if self._simulated:
            return
        running = []
        if not is_terminal(pod):
            for wanted in containers_of(pod):
                latest = observed.latest(wanted.name)
                if latest is not None and latest.state is State.RUNNING and latest.id not in observed.hooking:
                    running.append((wanted, latest))
        ips = self._host_ips if pod.spec.host_network else observed.ips
        ending = pod.metadata.deletion_timestamp is not None
        self._prober.keep(pod.metadata.uid, running, pod=pod, ips=ips, proven=proven, ending=ending)

    def forget(self, pod: Pod) -> None:
        """Of a pod that is over."""
        self._prober.keep(pod.metadata.uid, ())

    def started(self, pod: Pod, containers: Sequence[Container], proven: Mapping[str, bool]) -> frozenset[str]:
        """Ids of those whose startup probe has passed, or that have none."""
        return self._passing(pod, containers, Kind.STARTUP, dict.fromkeys(proven, True))

    def ready(self, pod: Pod, containers: Sequence[Container], proven: Mapping[str, bool]) -> frozenset[str]:
        """Ids of those whose readiness probe passes, or that have none."""
        return self._passing(pod, containers, Kind.READINESS, proven)

    def unhealthy(self, containers: Sequence[Container]) -> Mapping[str, str]:
        """Which of these have to be ended, by id, and why."""
        return self._prober.failed(each.id for each in containers)

    def counted(self) -> Iterable[Counted]:
        """Results so far."""
        return self._prober.counted()

    def _passing(
        self, pod: Pod, containers: Sequence[Container], kind: Kind, before: Mapping[str, bool]
    ) -> frozenset[str]:
        """Ids of running containers that have no such probe, or whose probe passes; `before` says it of those that
        this agent does not probe yet."""
        probed = set() if self._simulated else {each.name for each in containers_of(pod) if kind in probes_of(each)}
        return frozenset(
            each.id
            for each in containers
            if each.state is State.RUNNING
            and (each.name not in probed or self._prober.passes(each.id, kind, before=before.get(each.id, False)))
        )
