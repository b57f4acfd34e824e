"""What a namespace that is going away says about itself. Rules: namespace/deletion/status_condition_utils.go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec

from minikube.api.core_v1 import NamespaceCondition, NamespaceStatus
from minikube.api.meta import Resource
from minikube.api.time import seconds


class Leftover(msgspec.Struct, frozen=True):
    """An object that is still there."""

    resource: Resource
    uid: str
    finalizers: tuple[str, ...]


Said = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""
PARSED: Said = (
    "NamespaceDeletionGroupVersionParsingFailure",
    "False",
    "ParsedGroupVersions",
    "All legacy kube types successfully parsed",
)


def status_of(
    before: NamespaceStatus,
    left: Sequence[Leftover],
    failures: Sequence[str],
    unknown: Sequence[str],
    now: datetime,
) -> NamespaceStatus:
    kept = {one.type: one for one in before.conditions}
    for type, status, reason, message in (
        _discovered(unknown),
        PARSED,
        _content(failures),
        _remaining(left),
        _finalizers(left),
    ):
        known = kept.get(type)
        if known is not None and (known.status, known.reason, known.message) == (status, reason, message):
            continue
        since = known.last_transition_time if known is not None and known.status == status else seconds(now)
        kept[type] = NamespaceCondition(
            type=type, status=status, reason=reason, message=message, last_transition_time=since
        )
    return NamespaceStatus(phase="Terminating", conditions=tuple(kept.values()))


def _discovered(unknown: Sequence[str]) -> Said:
    """`unknown`: group versions."""
    type = "NamespaceDeletionDiscoveryFailure"
    if not unknown:
        return type, "False", "ResourcesDiscovered", "All resources successfully discovered"
    why = ", ".join(f"{each}: stale GroupVersion discovery: {each}" for each in sorted(unknown))
    told = f"unable to retrieve the complete list of server APIs: {why}"
    message = f"Discovery failed for some groups, {len(unknown)} failing: {told}"
    return type, "True", "DiscoveryFailed", message


def _content(failures: Sequence[str]) -> Said:
    type = "NamespaceDeletionContentFailure"
    if not failures:
        message = "All content successfully deleted, may be waiting on finalization"
        return type, "False", "ContentDeleted", message
    told = ", ".join(sorted(set(failures)))
    message = f"Failed to delete all resource types, {len(failures)} remaining: {told}"
    return type, "True", "ContentDeletionFailed", message


def _remaining(left: Sequence[Leftover]) -> Said:
    type = "NamespaceContentRemaining"
    if not left:
        return type, "False", "ContentRemoved", "All content successfully removed"
    counted = Counter(f"{one.resource.plural}.{one.resource.group}" for one in left)
    told = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(counted.items()))
    return type, "True", "SomeResourcesRemain", f"Some resources are remaining: {told}"


def _finalizers(left: Sequence[Leftover]) -> Said:
    type = "NamespaceFinalizersRemaining"
    counted = Counter(finalizer for one in left for finalizer in one.finalizers)
    if not counted:
        return type, "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    told = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(counted.items()))
    message = f"Some content in the namespace has finalizers remaining: {told}"
    return type, "True", "SomeFinalizersRemain", message
