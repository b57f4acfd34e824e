"""What quotas, limit ranges, priority and runtime classes may say (ValidateResourceQuota, ValidateLimitRange …)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from minikube.api import quantity
from minikube.api.core_v1 import LimitRange, LimitRangeItem, ResourceQuota
from minikube.api.meta import Quantity
from minikube.api.names import label_problems, qualified_name_problems
from minikube.api.node_v1 import RuntimeClass
from minikube.api.scheduling_v1 import PriorityClass
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.amounts import amount
from minikube.resources.rules.invalid import (
    at,
    duplicate,
    forbidden,
    immutable,
    invalid,
    key,
    one_of,
    required,
)
from minikube.resources.rules.labelling import labels
from minikube.resources.rules.placement import tolerations
from minikube.resources.warnings.kinds import runtime_class_warnings

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    "VolumeAttributesClass",
)  # fmt: skip
_QUOTA_NAMES = frozenset({
    "configmaps", "cpu", "ephemeral-storage", "limits.cpu", "limits.ephemeral-storage", "limits.memory", "memory",
    "persistentvolumeclaims", "pods", "replicationcontrollers", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory", "requests.storage", "resourcequotas", "secrets", "services", "services.loadbalancers",
    "services.nodeports",
})  # fmt: skip
_COUNTED = frozenset({
    "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets",
    "services", "services.loadbalancers", "services.nodeports",
})  # fmt: skip


def _quota_name(name: str, path: str) -> Iterator[FieldError]:
    wrong = list(qualified_name_problems(name))
    for why in wrong:
        yield invalid(path, name, why)
    huge = name.startswith(("hugepages-", "requests.hugepages-", "limits.hugepages-"))
    if not wrong and "/" not in name and name not in _QUOTA_NAMES and not huge:
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def _amounts(given: Mapping[str, Quantity], path: str) -> Iterator[FieldError]:
    for name, value in given.items():
        where = key(path, name)
        yield from _quota_name(name, where)
        yield from amount(name, value, where)
        counted = name in _COUNTED or name.startswith("count/")
        if counted and quantity.valid(value) and quantity.parse(value).denominator != 1:
            yield invalid(where, quantity.canonical(value), "must be an integer")


class ResourceQuotaRules(Strategy[ResourceQuota]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {}

    def validate(self, new: ResourceQuota, old: ResourceQuota | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from _amounts(spec.hard, "spec.hard")
        yield from _scopes(new)
        if old is not None and set(spec.scopes) != set(old.spec.scopes):
            yield invalid("spec.scopes", spec.scopes, "field is immutable")
        if spec.scope_selector is None:
            return
        for index, one in enumerate(spec.scope_selector.match_expressions):
            where = at("spec.scopeSelector.matchExpressions", index)
            if one.scope_name not in _SCOPES:
                yield invalid(f"{where}.scopeName", one.scope_name, "unsupported scope")
            if one.operator in ("In", "NotIn"):
                if not one.values:
                    yield required(
                        f"{where}.values",
                        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                    )
            elif one.operator in ("Exists", "DoesNotExist"):
                if one.values:
                    why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                    yield invalid(f"{where}.values", one.values, why)
            else:
                yield invalid(f"{where}.operator", one.operator, "not a valid selector operator")

    def validate_status(self, new: ResourceQuota, old: ResourceQuota) -> Iterator[FieldError]:
        yield from _amounts(new.status.hard, "status.hard")
        yield from _amounts(new.status.used, "status.used")


def _scopes(quota: ResourceQuota) -> Iterator[FieldError]:
    scopes = quota.spec.scopes
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")
            continue
        for name in quota.spec.hard:
            fits = name == "pods" if scope == "BestEffort" else name not in _COUNTED or name == "pods"
            if not fits:
                yield invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for one, other in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if one in scopes and other in scopes:
            yield invalid("spec.scopes", scopes, "conflicting scopes")


class LimitRangeRules(Strategy[LimitRange]):
    def default(self, new: Obj) -> None:
        """SetDefaults_LimitRangeItem: limits default to the most, requests to the limits or the least."""
        for item in (new.get("spec") or {}).get("limits") or ():
            if not isinstance(item, dict) or item.get("type") != "Container":
                continue
            limits, requests = dict(item.get("default") or {}), dict(item.get("defaultRequest") or {})
            for name, value in (item.get("max") or {}).items():
                limits.setdefault(name, value)
            for name, value in limits.items():
                requests.setdefault(name, value)
            for name, value in (item.get("min") or {}).items():
                requests.setdefault(name, value)
            if limits:
                item["default"] = limits
            if requests:
                item["defaultRequest"] = requests

    def validate(self, new: LimitRange, old: LimitRange | None) -> Iterator[FieldError]:
        seen: set[str] = set()
        for index, item in enumerate(new.spec.limits):
            where = at("spec.limits", index)
            if not item.type:
                yield required(f"{where}.type")
            elif item.type not in ("Container", "PersistentVolumeClaim", "Pod") and "/" not in item.type:
                yield invalid(f"{where}.type", item.type, "must be a standard limit type or fully qualified")
            if item.type in seen:
                yield duplicate(f"{where}.type", item.type)
            seen.add(item.type)
            yield from _limit(item, where)


def _limit(item: LimitRangeItem, path: str) -> Iterator[FieldError]:
    if item.type == "Pod":
        if item.default:
            yield forbidden(f"{path}.default", "may not be specified when `type` is 'Pod'")
        if item.default_request:
            yield forbidden(f"{path}.defaultRequest", "may not be specified when `type` is 'Pod'")
    if item.type == "PersistentVolumeClaim" and "storage" not in {*item.min, *item.max}:
        yield required(
            f"{path}.limits", "either minimum or maximum storage value is required, but neither was provided"
        )
    groups = (
        ("min", item.min),
        ("max", item.max),
        ("default", item.default),
        ("defaultRequest", item.default_request),
        ("maxLimitRequestRatio", item.max_limit_request_ratio),
    )
    for name in sorted({one for _, group in groups for one in group}):
        for field, group in groups:
            if name in group:
                yield from amount(name, group[name], key(f"{path}.{field}", name))
        yield from _order(item, name, path)


def _order(item: LimitRangeItem, name: str, path: str) -> Iterator[FieldError]:
    """min <= defaultRequest <= default <= max."""
    ranks = [
        ("min", "min", item.min.get(name)),
        ("defaultRequest", "default request", item.default_request.get(name)),
        ("default", "default", item.default.get(name)),
        ("max", "max", item.max.get(name)),
    ]
    given = [(field, word, value) for field, word, value in ranks if value is not None and quantity.valid(value)]
    for index, (field, word, low) in enumerate(given):
        for above, upper, high in given[index + 1 :]:
            if quantity.parse(low) <= quantity.parse(high):
                continue
            low_text, high_text = quantity.canonical(low), quantity.canonical(high)
            lesser, greater = f"{word} value {low_text}", f"{upper} value {high_text}"
            if above == "default" and field == "min":
                yield invalid(key(f"{path}.min", name), low_text, f"{lesser} is greater than {greater}")
            else:
                yield invalid(key(f"{path}.{field}", name), low_text, f"{lesser} is greater than {greater}")
    ratio = item.max_limit_request_ratio.get(name)
    if ratio is not None and quantity.valid(ratio) and quantity.parse(ratio) < 1:
        text = quantity.canonical(ratio)
        yield invalid(key(f"{path}.maxLimitRequestRatio", name), text, f"ratio {text} is less than 1")


class PriorityClassRules(Strategy[PriorityClass]):
    def validate(self, new: PriorityClass, old: PriorityClass | None) -> Iterator[FieldError]:
        name, value = new.metadata.name, new.value or 0
        if name.startswith("system-"):
            if SYSTEM_CLASSES.get(name) != value:
                why = "priority class names with 'system-' prefix are reserved for system use only"
                yield forbidden("metadata.name", f"{why}. error: {name} is not a known system priority class")
        elif value > HIGHEST_USER_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
            yield forbidden("value", why)
        policies = ("Never", "PreemptLowerPriority")
        if new.preemption_policy:
            yield from one_of("preemptionPolicy", new.preemption_policy, policies)
        if old is not None:
            if (old.value or 0) != value:
                yield forbidden("value", "may not be changed in an update.")
            yield from immutable("preemptionPolicy", new.preemption_policy, old.preemption_policy)


class RuntimeClassRules(Strategy[RuntimeClass]):
    def validate(self, new: RuntimeClass, old: RuntimeClass | None) -> Iterator[FieldError]:
        for why in label_problems(new.handler):
            yield invalid("handler", new.handler, why)
        if new.overhead:
            for name, value in new.overhead.pod_fixed.items():
                yield from amount(name, value, key("overhead.podFixed", name))
        if new.scheduling:
            yield from labels(new.scheduling.node_selector, "scheduling.nodeSelector")
            yield from tolerations(new.scheduling.tolerations, "scheduling.tolerations")
        if old is not None:
            yield from immutable("handler", new.handler, old.handler)

    def warnings(self, new: RuntimeClass, old: RuntimeClass | None) -> Iterator[str]:
        yield from runtime_class_warnings(new)
