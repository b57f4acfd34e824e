"""How much of a quota an object uses, for every kind that counts for more than one object of its kind.

Rules: kubernetes pkg/quota/v1/evaluator/core and k8s.io/apiserver/pkg/quota/v1/generic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Protocol

from minikube.api.core_v1 import (
    Container,
    PersistentVolumeClaim,
    Pod,
    PodAffinityTerm,
    PodSpec,
    ScopedResourceSelectorRequirement,
    Service,
)
from minikube.api.meta import Object
from minikube.api.resource_list import (
    ONE,
    Exact,
    ResourceList,
    container_limits,
    container_requests,
    largest,
    pod_limits,
    pod_requests,
    read,
)
from minikube.resources.qos import qos_class

Scope = ScopedResourceSelectorRequirement
COMPUTE = ("cpu", "memory", "ephemeral-storage")
POD_NAMES = frozenset(
    {"count/pods", "pods", *COMPUTE, *(f"{kind}.{name}" for kind in ("requests", "limits") for name in COMPUTE)}
)
DEMANDED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
"""A quota of these makes every container say what it wants."""
SERVICE_NAMES = frozenset({"count/services", "services", "services.nodeports", "services.loadbalancers"})
CLAIM_NAMES = frozenset({"count/persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"})
OF_CLASS = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
ALIASES = {"configmaps", "secrets", "replicationcontrollers", "resourcequotas"}
"""Core kinds that a quota may also name without count/."""


class Evaluator(Protocol):
    def handles(self, operation: str, subresource: str) -> bool: ...

    def matching(self, names: Iterable[str]) -> list[str]:
        """Those of the names that this evaluator counts."""
        ...

    def usage(self, obj: Any, now: datetime) -> ResourceList: ...

    def in_scope(self, scope: Scope, obj: Any) -> bool: ...

    def unsaid(self, names: Sequence[str], obj: Any) -> str:
        """What the object has to say and does not; worded as after `must specify`."""
        ...


class ObjectCount:
    """Any kind: one for each object."""

    def __init__(self, group: str, plural: str) -> None:
        self._count = f"count/{plural}.{group}" if group else f"count/{plural}"
        self._names = {self._count, plural} if not group and plural in ALIASES else {self._count}

    def handles(self, operation: str, subresource: str) -> bool:
        return operation == "CREATE" and not subresource

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self._names]

    def usage(self, obj: Any, now: datetime) -> ResourceList:
        return dict.fromkeys(self._names, ONE)

    def in_scope(self, scope: Scope, obj: Any) -> bool:
        return False

    def unsaid(self, names: Sequence[str], obj: Any) -> str:
        return ""


class Pods:
    def handles(self, operation: str, subresource: str) -> bool:
        return (operation, subresource) in (("CREATE", ""), ("UPDATE", "resize"))

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in POD_NAMES or _huge(name) or _extended_quota(name)]

    def usage(self, obj: Pod, now: datetime) -> ResourceList:
        """A pod that has ended, or should have by now, counts as an object only."""
        if not _alive(obj, now):
            return {"count/pods": ONE}
        used = _compute(pod_requests(obj.spec), pod_limits(obj.spec))
        return {"count/pods": ONE, "pods": ONE, **used}

    def in_scope(self, scope: Scope, obj: Pod) -> bool:
        spec = obj.spec
        match scope.scope_name:
            case "Terminating":
                return spec.active_deadline_seconds is not None
            case "NotTerminating":
                return spec.active_deadline_seconds is None
            case "BestEffort":
                return qos_class(spec) == "BestEffort"
            case "NotBestEffort":
                return qos_class(spec) != "BestEffort"
            case "PriorityClass":
                return _selected(scope, spec.priority_class_name)
            case "CrossNamespacePodAffinity":
                return any(term.namespaces or term.namespace_selector is not None for term in _terms(spec))
        return False

    def unsaid(self, names: Sequence[str], obj: Pod) -> str:
        missing: dict[str, set[str]] = {}
        for container in (*obj.spec.containers, *obj.spec.init_containers):
            for name in DEMANDED & set(names) - _said(container):
                missing.setdefault(name, set()).add(container.name)
        return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


class Services:
    def handles(self, operation: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not subresource

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in SERVICE_NAMES]

    def usage(self, obj: Service, now: datetime) -> ResourceList:
        spec = obj.spec
        ports = len(spec.ports)
        balanced = spec.type == "LoadBalancer"
        if balanced and spec.allocate_load_balancer_node_ports is False:
            ports = sum(1 for port in spec.ports if port.node_port)
        exposed = spec.type in ("NodePort", "LoadBalancer")
        return {
            "count/services": ONE,
            "services": ONE,
            "services.nodeports": Exact(Fraction(ports if exposed else 0)),
            "services.loadbalancers": Exact(Fraction(balanced)),
        }

    def in_scope(self, scope: Scope, obj: Service) -> bool:
        return False

    def unsaid(self, names: Sequence[str], obj: Service) -> str:
        return ""


class Claims:
    def handles(self, operation: str, subresource: str) -> bool:
        return operation in ("CREATE", "UPDATE") and not subresource

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in CLAIM_NAMES or OF_CLASS in name]

    def usage(self, obj: PersistentVolumeClaim, now: datetime) -> ResourceList:
        used = {"count/persistentvolumeclaims": ONE, "persistentvolumeclaims": ONE}
        name = obj.metadata.annotations.get(CLASS_ANNOTATION) or obj.spec.storage_class_name
        if name:
            used[f"{name}{OF_CLASS}persistentvolumeclaims"] = ONE
        requests = read(obj.spec.resources.requests) if obj.spec.resources is not None else {}
        storage = largest(requests, read(obj.status.allocated_resources)).get("storage")
        if storage is not None:
            used["requests.storage"] = storage
            if name:
                used[f"{name}{OF_CLASS}requests.storage"] = storage
        return used

    def in_scope(self, scope: Scope, obj: PersistentVolumeClaim) -> bool:
        if scope.scope_name != "VolumeAttributesClass":
            return False
        return _selected(scope, obj.spec.volume_attributes_class_name or "")

    def unsaid(self, names: Sequence[str], obj: PersistentVolumeClaim) -> str:
        return ""


SPECIAL: Mapping[tuple[str, str], tuple[Evaluator, type[Object]]] = {
    ("", "pods"): (Pods(), Pod),
    ("", "services"): (Services(), Service),
    ("", "persistentvolumeclaims"): (Claims(), PersistentVolumeClaim),
}


def evaluator_of(group: str, plural: str) -> Evaluator:
    special = SPECIAL.get((group, plural))
    return special[0] if special is not None else ObjectCount(group, plural)


def _alive(pod: Pod, now: datetime) -> bool:
    if pod.status.phase in ("Failed", "Succeeded"):
        return False
    meta = pod.metadata
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds is None:
        return True
    return now <= meta.deletion_timestamp + timedelta(seconds=meta.deletion_grace_period_seconds)


def _compute(requests: ResourceList, limits: ResourceList) -> dict[str, Exact]:
    used: dict[str, Exact] = {}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith("hugepages-"):
            used[name] = used[f"requests.{name}"] = amount
        elif _extended(name):
            used[f"requests.{name}"] = amount
    used.update({f"limits.{name}": amount for name, amount in limits.items() if name in COMPUTE})
    return used


def _said(container: Container) -> set[str]:
    return set(_compute(container_requests(container), container_limits(container)))


def _huge(name: str) -> bool:
    return name.removeprefix("requests.").startswith("hugepages-")


def _extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def _extended_quota(name: str) -> bool:
    return name.startswith("requests.") and _extended(name.removeprefix("requests."))


def _selected(scope: Scope, value: str) -> bool:
    match scope.operator:
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
        case "In":
            return value in scope.values
        case "NotIn":
            return value not in scope.values
    return False


def _terms(spec: PodSpec) -> list[PodAffinityTerm]:
    affinity = spec.affinity
    found: list[PodAffinityTerm] = []
    for kind in (affinity.pod_affinity, affinity.pod_anti_affinity) if affinity is not None else ():
        if kind is not None:
            found += kind.required_during_scheduling_ignored_during_execution
            found += [one.pod_affinity_term for one in kind.preferred_during_scheduling_ignored_during_execution]
    return found
