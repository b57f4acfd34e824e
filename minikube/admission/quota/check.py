"""What quotas say of one request: refused, or which quotas it uses up and how much.

Rules: k8s.io/apiserver/pkg/admission/plugin/resourcequota (CheckRequest).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from minikube.admission.quota.evaluators import Evaluator, Scope
from minikube.api.core_v1 import ResourceQuota
from minikube.api.resource_list import ResourceList, add, growth, mask, read, written


class Exceeded(Exception):
    """Refused by a quota; the message says which and why."""


class Use(msgspec.Struct, frozen=True):
    """What a request would use: `old` is None for something new."""

    evaluator: Evaluator
    new: Any
    old: Any | None
    now: datetime


def scopes_of(quota: ResourceQuota) -> list[Scope]:
    """Both ways to write them as one."""
    found = [Scope(scope_name=name, operator="Exists") for name in quota.spec.scopes]
    selector = quota.spec.scope_selector
    return [*found, *(selector.match_expressions if selector is not None else ())]


def counts(quota: ResourceQuota, evaluator: Evaluator, obj: Any, names: Iterable[str]) -> list[str]:
    """Those names of the quota that this object counts for."""
    matching = evaluator.matching(names)
    if matching and all(evaluator.in_scope(scope, obj) for scope in scopes_of(quota)):
        return matching
    return []


def charged(quotas: Sequence[ResourceQuota], use: Use) -> list[ResourceQuota]:
    """The quotas whose status.used changes, changed. Raises Exceeded."""
    pertinent = []
    for quota in quotas:
        names = counts(quota, use.evaluator, use.new, quota.status.hard)
        if not names:
            continue
        unsaid = use.evaluator.unsaid(names, use.new)
        if unsaid:
            raise Exceeded(f"failed quota: {quota.metadata.name}: must specify {unsaid}")
        if any(name not in quota.status.used for name in names):
            told = ",".join(sorted(names))
            raise Exceeded(f"status unknown for quota: {quota.metadata.name}, resources: {told}")
        pertinent.append(quota)
    if not pertinent:
        return []
    usage = use.evaluator.usage(use.new, use.now)
    before = use.evaluator.usage(use.old, use.now) if use.old is not None else {}
    changed = []
    for quota in pertinent:
        counted = use.old is not None and counts(quota, use.evaluator, use.old, quota.status.hard)
        delta = growth(usage, before) if counted else usage
        wanted = {name: more for name, more in mask(delta, quota.status.hard).items() if more.number}
        if wanted:
            changed.append(_charge(quota, wanted))
    return changed


def _charge(quota: ResourceQuota, wanted: ResourceList) -> ResourceQuota:
    used, hard = read(quota.status.used), read(quota.status.hard)
    total = add(used, wanted)
    over = sorted(name for name in wanted if total[name].number > hard[name].number)
    if over:
        raise Exceeded(
            f"exceeded quota: {quota.metadata.name}, requested: {_told(wanted, over)}, "
            f"used: {_told(used, over)}, limited: {_told(hard, over)}"
        )
    status = msgspec.structs.replace(quota.status, used=written(total))
    return msgspec.structs.replace(quota, status=status)


def _told(amounts: Mapping[str, object], names: Sequence[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names if name in amounts)
