"""Pods and pod templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from minikube.api import core_v1
from minikube.api.core_v1 import ContainerStateTerminated, ContainerStatus, Pod, PodTemplate
from minikube.errors import FieldError
from minikube.resources.base import Strategy, age
from minikube.resources.declare import NONE, columns, containers, declare, images, joined, labels
from minikube.resources.rules.pod import PodRules
from minikube.resources.rules.podspec import pod_template
from minikube.resources.warnings.common import changed
from minikube.resources.warnings.pod import template_warnings


def _restartable(pod: Pod) -> frozenset[str]:
    return frozenset(one.name for one in pod.spec.init_containers if one.restart_policy == "Always")


def _ended(state: ContainerStateTerminated) -> str:
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exit_code}"


def _condition(pod: Pod, type: str) -> core_v1.PodCondition | None:
    return next((one for one in pod.status.conditions if one.type == type), None)


def _true(pod: Pod, type: str) -> bool:
    condition = _condition(pod, type)
    return condition is not None and condition.status == "True"


class _Restarts:
    """How often, and when last."""

    def __init__(self) -> None:
        self.count = 0
        self.last: datetime | None = None

    def add(self, status: ContainerStatus) -> None:
        self.count += status.restart_count
        ended = status.last_state.terminated if status.last_state else None
        if ended and ended.finished_at and (self.last is None or self.last < ended.finished_at):
            self.last = ended.finished_at

    def shown(self, now: datetime) -> str:
        if self.count and self.last:
            return f"{self.count} ({age(self.last, now)} ago)"
        return str(self.count)


class _View:
    """What `kubectl get pods` says of a pod (printPod of pkg/printers/internalversion)."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.ready = 0
        self.reason = pod.status.reason or pod.status.phase
        scheduled = _condition(pod, "PodScheduled")
        if scheduled and scheduled.reason == "SchedulingGated":
            self.reason = "SchedulingGated"
        self._restartable = _restartable(pod)
        self.total = len(pod.spec.containers) + len(self._restartable)
        self.restarts = _Restarts()
        sidecars = _Restarts()
        initializing = self._init_containers(sidecars)
        if not initializing or _true(pod, "Initialized"):
            self.restarts = sidecars
            self._containers()
        if pod.metadata.deletion_timestamp and pod.status.reason == "NodeLost":
            self.reason = "Unknown"
        elif pod.metadata.deletion_timestamp and pod.status.phase not in ("Succeeded", "Failed"):
            self.reason = "Terminating"

    def _init_containers(self, sidecars: _Restarts) -> bool:
        """Whether initialization is still going on."""
        for index, status in enumerate(self.pod.status.init_container_statuses):
            self.restarts.add(status)
            sidecar = status.name in self._restartable
            if sidecar:
                sidecars.add(status)
            terminated = status.state.terminated if status.state else None
            waiting = status.state.waiting if status.state else None
            if terminated and terminated.exit_code == 0:
                continue
            if sidecar and status.started:
                self.ready += status.ready
                continue
            if terminated:
                self.reason = f"Init:{_ended(terminated)}"
            elif waiting and waiting.reason and waiting.reason != "PodInitializing":
                self.reason = f"Init:{waiting.reason}"
            else:
                self.reason = f"Init:{index}/{len(self.pod.spec.init_containers)}"
            return True
        return False

    def _containers(self) -> None:
        running = False
        for status in reversed(self.pod.status.container_statuses):
            self.restarts.add(status)
            state = status.state or core_v1.ContainerState()
            if state.waiting and state.waiting.reason:
                self.reason = state.waiting.reason
            elif state.terminated:
                self.reason = _ended(state.terminated)
            elif status.ready and state.running:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            self.reason = "Running" if _true(self.pod, "Ready") else "NotReady"


def _gates(pod: Pod) -> str:
    gates = pod.spec.readiness_gates
    if not gates:
        return NONE
    return f"{sum(_true(pod, gate.condition_type) for gate in gates)}/{len(gates)}"


def pod_row(pod: Pod, now: datetime) -> Sequence[Any]:
    view = _View(pod)
    return (
        pod.metadata.name,
        f"{view.ready}/{view.total}",
        view.reason,
        view.restarts.shown(now),
        age(pod.metadata.creation_timestamp, now),
        pod.status.pod_ips[0].ip if pod.status.pod_ips else pod.status.pod_ip or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    )


def _template_row(template: PodTemplate, now: datetime) -> Sequence[Any]:
    spec = template.template
    return (
        template.metadata.name,
        joined([containers(spec)]),
        joined([images(spec)]),
        labels(spec.metadata.labels if spec else {}),
    )


class PodTemplateRules(Strategy[PodTemplate]):
    def validate(self, new: PodTemplate, old: PodTemplate | None) -> Iterator[FieldError]:
        yield from pod_template(new.template, "template")

    def warnings(self, new: PodTemplate, old: PodTemplate | None) -> Iterator[str]:
        if changed(new, old):
            yield from template_warnings(new.template, "template")


KINDS = (
    declare(
        Pod, counted=True,
        strategy=PodRules(),
        short_names=("po",),
        categories=("all",),
        status=True, status_metadata=("labels", "annotations", "finalizers"),
        subresources=(
            "attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize",
        ),
        columns=columns(
            "Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"
        ),
        row=pod_row,
    ),
    declare(
        PodTemplate, counted=True,
        strategy=PodTemplateRules(),
        columns=columns("Name", "Containers", "Images", "Pod Labels"),
        row=_template_row,
    ),
)  # fmt: skip
