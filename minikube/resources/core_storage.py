"""Persistent volumes and claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from minikube.api import quantity
from minikube.api.core_v1 import PersistentVolume, PersistentVolumeClaim
from minikube.api.meta import Quantity
from minikube.api.volumes import class_of_claim, class_of_volume
from minikube.resources.declare import UNSET, columns, declare, since
from minikube.resources.rules.storage import PersistentVolumeClaimRules, PersistentVolumeRules

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(modes: Iterable[str]) -> str:
    given = set(modes)
    return ",".join(short for mode, short in _MODES.items() if mode in given)


def _size(amount: Quantity | None) -> str:
    return "" if amount is None else quantity.canonical(amount)


def volume_row(volume: PersistentVolume, now: datetime) -> Sequence[Any]:
    spec, claim = volume.spec, volume.spec.claim_ref
    return (
        volume.metadata.name,
        _size(spec.capacity.get("storage")),
        _modes(spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        "Terminating" if volume.metadata.deletion_timestamp else volume.status.phase,
        f"{claim.namespace}/{claim.name}" if claim else "",
        class_of_volume(volume),
        spec.volume_attributes_class_name or UNSET,
        volume.status.reason,
        since(volume, now),
        spec.volume_mode or UNSET,
    )


def claim_row(claim: PersistentVolumeClaim, now: datetime) -> Sequence[Any]:
    spec, bound = claim.spec, bool(claim.spec.volume_name)
    return (
        claim.metadata.name,
        "Terminating" if claim.metadata.deletion_timestamp else claim.status.phase,
        spec.volume_name,
        _size(claim.status.capacity.get("storage")) if bound else "",
        _modes(claim.status.access_modes) if bound else "",
        class_of_claim(claim),
        spec.volume_attributes_class_name or UNSET,
        since(claim, now),
        spec.volume_mode or UNSET,
    )


KINDS = (
    declare(
        PersistentVolume,
        strategy=PersistentVolumeRules(),
        short_names=("pv",),
        status=True,
        columns=columns(
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        row=volume_row,
    ),
    declare(
        PersistentVolumeClaim,
        strategy=PersistentVolumeClaimRules(),
        short_names=("pvc",),
        status=True,
        columns=columns(
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        row=claim_row,
    ),
)
