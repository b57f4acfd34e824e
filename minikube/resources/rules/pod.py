"""How pods begin, change and end (registry/core/pod/strategy.go, ValidatePodUpdate, ValidatePodStatusUpdate)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from minikube.api import quantity
from minikube.api.core_v1 import Container, ContainerStatus, Pod, PodSpec, ResourceRequirements, Toleration
from minikube.api.names import ip_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.qos import qos_class
from minikube.resources.rules import pod_level
from minikube.resources.rules.containers import ephemeral_containers
from minikube.resources.rules.invalid import at, forbidden, invalid, required
from minikube.resources.rules.podspec import pod_spec
from minikube.resources.warnings.kinds import pod_status_warnings
from minikube.resources.warnings.pod import pod_warnings

MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_GATED = "Scheduling is blocked due to non-empty scheduling gates"
_RESIZABLE = ("cpu", "memory")


class PodRules(Strategy[Pod]):
    def default(self, new: Obj) -> None:
        pod_level.default(new)

    def prepare_create(self, new: Obj) -> None:
        status: Obj = {"phase": "Pending", "qosClass": qos_class(msgspec.convert(new.get("spec") or {}, PodSpec))}
        if (new.get("spec") or {}).get("schedulingGates"):
            condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": _GATED}
            status["conditions"] = [condition]
        new["status"] = status

    def prepare_update(self, new: Obj, old: ReadOnlyObj) -> None:
        if old.get("status"):
            new["status"] = old["status"]

    def validate(self, new: Pod, old: Pod | None) -> Iterator[FieldError]:
        yield from pod_spec(new.spec, "spec")
        if old is not None:
            yield from updated(new.spec, old.spec)
        elif new.spec.ephemeral_containers:
            yield forbidden("spec.ephemeralContainers", "cannot be set on create")

    def status_warnings(self, new: Pod, old: Pod) -> Iterator[str]:
        yield from pod_status_warnings(new)

    def warnings(self, new: Pod, old: Pod | None) -> Iterator[str]:
        if old is None:
            yield from pod_warnings(new)

    def validate_subresource(self, new: Pod, old: Pod, subresource: str) -> Iterator[FieldError]:
        if subresource == "ephemeralcontainers":
            yield from ephemeral_containers(new.spec, "spec.ephemeralContainers")
            yield from _ephemeral_update(new.spec, old.spec)
        elif subresource == "resize":
            yield from pod_spec(new.spec, "spec")
            yield from _resized(new, old)

    def validate_status(self, new: Pod, old: Pod) -> Iterator[FieldError]:
        if new.spec.node_name != old.spec.node_name:
            yield forbidden("status.nodeName", "may not be changed directly")
        nominated = new.status.nominated_node_name
        for why in subdomain_problems(nominated) if nominated else ():
            yield invalid("status.nominatedNodeName", nominated, why)
        for index, one in enumerate(new.status.pod_ips):
            for why in ip_problems(one.ip):
                yield invalid(at("status.podIPs", index), one.ip, why)
        yield from _no_restarts(
            new.status.container_statuses, old.status.container_statuses, old.spec, "status.containerStatuses"
        )
        if new.status.qos_class != old.status.qos_class and new.status.qos_class:
            yield invalid("status.qosClass", new.status.qos_class, "field is immutable")

    def fields(self, obj: Any) -> Mapping[str, str]:
        spec, status = obj.spec, obj.status
        return {
            "spec.nodeName": spec.node_name,
            "spec.restartPolicy": spec.restart_policy,
            "spec.schedulerName": spec.scheduler_name,
            "spec.serviceAccountName": spec.service_account_name,
            "spec.hostNetwork": "true" if spec.host_network else "false",
            "status.phase": status.phase,
            "status.podIP": status.pod_ips[0].ip if status.pod_ips else status.pod_ip,
            "status.podIPs": ",".join(one.ip for one in status.pod_ips),
            "status.nominatedNodeName": status.nominated_node_name,
        }

    def deletion_grace(self, obj: Pod, asked: int | None) -> int:
        """As asked, else as the pod says; at once when no node has it or nothing runs any more."""
        if not obj.spec.node_name or obj.status.phase in ("Succeeded", "Failed"):
            return 0
        period = obj.spec.termination_grace_period_seconds if asked is None else asked
        return 1 if period is not None and period < 0 else period or 0


def updated(new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    """What of a running pod's spec may change: images, a shorter deadline, more tolerations, fewer gates."""
    for name, now, before in (
        ("containers", new.containers, old.containers),
        ("initContainers", new.init_containers, old.init_containers),
    ):
        if len(now) != len(before):
            yield forbidden(f"spec.{name}", "pod updates may not add or remove containers")
            return
        for index, one in enumerate(now):
            if not one.image:
                yield required(f"{at(f'spec.{name}', index)}.image")
    yield from _deadline(new.active_deadline_seconds, old.active_deadline_seconds)
    yield from _only_added(new.tolerations, old.tolerations, "spec.tolerations")
    kept = {gate.name for gate in old.scheduling_gates}
    for gate in new.scheduling_gates:
        if gate.name not in kept:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            yield forbidden("spec.schedulingGates", why)
    masked = _masked(new, old)
    if masked != old:
        yield forbidden("spec", f"{MAY_CHANGE}\n{difference(masked, old)}")


def _masked(new: PodSpec, old: PodSpec) -> PodSpec:
    """The new spec with everything that may change put back."""
    changes: dict[str, Any] = {
        "containers": _with_images(new.containers, old.containers),
        "init_containers": _with_images(new.init_containers, old.init_containers),
        "active_deadline_seconds": old.active_deadline_seconds,
        "tolerations": old.tolerations,
        "scheduling_gates": old.scheduling_gates,
    }
    grace = old.termination_grace_period_seconds
    if grace is not None and grace < 0 and new.termination_grace_period_seconds == 1:
        changes["termination_grace_period_seconds"] = grace
    if old.scheduling_gates:
        if all(new.node_selector.get(name) == value for name, value in old.node_selector.items()):
            changes["node_selector"] = old.node_selector
        if new.affinity and (old.affinity is None or old.affinity.node_affinity is None):
            before = old.affinity
            same_pods = (new.affinity.pod_affinity, new.affinity.pod_anti_affinity) == (
                (before.pod_affinity, before.pod_anti_affinity) if before else (None, None)
            )
            if same_pods:
                changes["affinity"] = before
    return replace(new, **changes)


def _with_images(new: Sequence[Container], old: Sequence[Container]) -> tuple[Container, ...]:
    return tuple(replace(one, image=before.image) for one, before in zip(new, old, strict=True))


def _deadline(new: int | None, old: int | None) -> Iterator[FieldError]:
    path = "spec.activeDeadlineSeconds"
    if new is not None:
        if new < 0 or new >= 2**31:
            yield invalid(path, new, "must be between 0 and 2147483647, inclusive")
        elif old is not None and old < new:
            yield invalid(path, new, "must be less than or equal to previous value")
    elif old is not None:
        yield invalid(path, None, "must not update from a positive integer to nil value")


def _only_added(new: Sequence[Toleration], old: Sequence[Toleration], path: str) -> Iterator[FieldError]:
    now = {replace(one, toleration_seconds=None) for one in new}
    if any(replace(one, toleration_seconds=None) not in now for one in old):
        yield forbidden(path, "existing toleration can not be modified except its tolerationSeconds")


def _ephemeral_update(new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    now = {one.name: one for one in new.ephemeral_containers}
    for one in old.ephemeral_containers:
        if one.name not in now:
            yield forbidden(
                "spec.ephemeralContainers", f'existing ephemeral containers "{one.name}" may not be removed\n'
            )
        elif now[one.name] != one:
            yield forbidden(
                "spec.ephemeralContainers", f'existing ephemeral containers "{one.name}" may not be changed\n'
            )


def _resized(new: Pod, old: Pod) -> Iterator[FieldError]:
    if old.status.qos_class and qos_class(new.spec) != old.status.qos_class:
        why = "Pod QOS Class may not change as a result of resizing"
        yield invalid("spec", qos_class(new.spec), why)
    for name, now, before in (
        ("containers", new.spec.containers, old.spec.containers),
        ("initContainers", new.spec.init_containers, old.spec.init_containers),
    ):
        for index, (one, was) in enumerate(zip(now, before, strict=False)):
            if _unresizable(one) != _unresizable(was):
                yield forbidden(at(f"spec.{name}", index), "only cpu and memory resources are mutable")
    rest = replace(
        new.spec,
        containers=old.spec.containers,
        init_containers=old.spec.init_containers,
        resources=_fixed(new.spec.resources),
    )
    if rest != replace(old.spec, resources=_fixed(old.spec.resources)) or len(new.spec.containers) != len(
        old.spec.containers
    ):
        yield forbidden("spec", "only cpu and memory resources are mutable")


def _unresizable(one: Container) -> Container:
    return replace(one, resources=_fixed(one.resources))


def _fixed(resources: ResourceRequirements | None) -> ResourceRequirements | None:
    """What of them may not change."""
    if resources is None:
        return None

    def others(amounts: Mapping[str, Any]) -> dict[str, Any]:
        return {n: quantity.canonical(a) for n, a in amounts.items() if n not in _RESIZABLE}

    kept = replace(resources, limits=others(resources.limits), requests=others(resources.requests))
    return kept if kept.limits or kept.requests or kept.claims else None


def _no_restarts(
    new: Sequence[ContainerStatus], old: Sequence[ContainerStatus], spec: PodSpec, path: str
) -> Iterator[FieldError]:
    """What has ended for good does not run again."""
    rules = (rule for one in (*spec.init_containers, *spec.containers) for rule in one.restart_policy_rules)
    if spec.restart_policy == "Always" or any(rule.action == "RestartAllContainers" for rule in rules):
        return
    own = {one.name for one in spec.containers if one.restart_policy or one.restart_policy_rules}
    now = {one.name: one for one in new}
    for index, one in enumerate(old):
        ended = one.state.terminated if one.state else None
        if not ended or one.name in own or (ended.exit_code and spec.restart_policy == "OnFailure"):
            continue
        after = now.get(one.name)
        if after and not (after.state and after.state.terminated):
            yield forbidden(f"{at(path, index)}.state", "may not be transitioned to non-terminated state")


def difference(new: msgspec.Struct, old: msgspec.Struct) -> str:
    """The fields that differ, one a line."""
    return "\n".join(_differences(msgspec.to_builtins(new), msgspec.to_builtins(old), ""))


def _differences(new: Any, old: Any, path: str) -> Iterator[str]:
    if new == old:
        return
    if isinstance(new, dict) and isinstance(old, dict):
        for name in sorted(new.keys() | old.keys()):
            yield from _differences(new.get(name), old.get(name), f"{path}.{name}" if path else name)
    elif isinstance(new, list | tuple) and isinstance(old, list | tuple) and len(new) == len(old):
        for index, (one, was) in enumerate(zip(new, old, strict=True)):
            yield from _differences(one, was, f"{path}[{index}]")
    else:
        yield f"- {path}: {msgspec.json.encode(old).decode()}"
        yield f"+ {path}: {msgspec.json.encode(new).decode()}"
