"""What a deletion comes to: gone now, marked and waiting, or already on its way. Rules: rest.BeforeDelete."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from minikube.api import time
from minikube.errors import BadRequest
from minikube.registry.base import DeleteOptions
from minikube.registry.stored import StoredObject
from minikube.resources.base import Kind, Obj

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Deletion(msgspec.Struct, frozen=True):
    """`now`: remove it; else write `marked` (None: it is marked as wanted already)."""

    now: bool
    marked: Obj | None = None


def plan_deletion(kind: Kind, present: StoredObject, obj: Obj, options: DeleteOptions, now: datetime) -> Deletion:
    metadata: Obj = dict(obj["metadata"])
    finalizers = _finalizers(list(metadata.get("finalizers") or ()), options)
    grace = kind.strategy.deletion_grace(present.typed(), options.grace_period_seconds)
    marked = bool(metadata.get("deletionTimestamp"))
    if marked:
        grace = min(grace, int(metadata.get("deletionGracePeriodSeconds") or 0))
    if not finalizers and grace == 0 and not kind.strategy.held(obj):
        return Deletion(now=True)
    before = dict(metadata)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if not marked:
        metadata["deletionTimestamp"] = time.text(now + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
        if "generation" in metadata:
            metadata["generation"] += 1
    elif grace < int(metadata.get("deletionGracePeriodSeconds") or 0):
        started = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(
            seconds=int(metadata["deletionGracePeriodSeconds"])
        )
        metadata["deletionTimestamp"] = time.text(started + timedelta(seconds=grace))
        metadata["deletionGracePeriodSeconds"] = grace
    if metadata == before:
        return Deletion(now=False)
    new = {**obj, "metadata": metadata}
    if not marked:
        kind.strategy.prepare_delete(new)
    return Deletion(now=False, marked=new)


def _finalizers(present: list[str], options: DeleteOptions) -> list[str]:
    policy = options.propagation_policy
    if options.orphan_dependents is not None:
        if policy is not None:
            raise BadRequest("orphanDependents and deletionPropagation cannot be both set")
        policy = "Orphan" if options.orphan_dependents else "Background"
    if policy not in (None, "Orphan", "Background", "Foreground"):
        raise BadRequest(
            f'Invalid value: "{policy}": DeletionPropagation need to be one of "Foreground", "Background", '
            '"Orphan" or nil'
        )
    if policy is None:
        return present
    kept = [finalizer for finalizer in present if finalizer not in (ORPHAN, FOREGROUND)]
    if policy == "Orphan":
        kept.append(ORPHAN)
    elif policy == "Foreground":
        kept.append(FOREGROUND)
    return kept
