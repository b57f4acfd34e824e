"""storage.k8s.io: classes, CSI drivers, attachments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from minikube.api import quantity
from minikube.api.storage_v1 import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    StorageClass,
    VolumeAttachment,
    VolumeAttributesClass,
)
from minikube.api.volumes import is_default
from minikube.resources.declare import UNSET, columns, declare, joined, since
from minikube.resources.rules.csi import (
    CSIDriverRules,
    CSINodeRules,
    CSIStorageCapacityRules,
    VolumeAttachmentRules,
)
from minikube.resources.rules.storage import StorageClassRules, VolumeAttributesClassRules


def class_row(of: StorageClass, now: datetime) -> Sequence[Any]:
    name = f"{of.metadata.name} (default)" if is_default(of) else of.metadata.name
    return (
        name,
        of.provisioner,
        of.reclaim_policy or "Delete",
        of.volume_binding_mode or "Immediate",
        bool(of.allow_volume_expansion),
        since(of, now),
    )


def attachment_row(attachment: VolumeAttachment, now: datetime) -> Sequence[Any]:
    spec = attachment.spec
    return (
        attachment.metadata.name,
        spec.attacher,
        spec.source.persistent_volume_name,
        spec.node_name,
        attachment.status.attached,
        since(attachment, now),
    )


def driver_row(driver: CSIDriver, now: datetime) -> Sequence[Any]:
    spec = driver.spec
    return (
        driver.metadata.name,
        spec.attach_required is not False,
        bool(spec.pod_info_on_mount),
        bool(spec.storage_capacity),
        joined((one.audience for one in spec.token_requests), UNSET),
        bool(spec.requires_republish),
        joined(spec.volume_lifecycle_modes),
        since(driver, now),
    )


def csi_node_row(node: CSINode, now: datetime) -> Sequence[Any]:
    return node.metadata.name, len(node.spec.drivers), since(node, now)


def capacity_row(capacity: CSIStorageCapacity, now: datetime) -> Sequence[Any]:
    shown = UNSET if capacity.capacity is None else quantity.canonical(capacity.capacity)
    return capacity.metadata.name, capacity.storage_class_name, shown, since(capacity, now)


def attributes_row(of: VolumeAttributesClass, now: datetime) -> Sequence[Any]:
    return of.metadata.name, of.driver_name, since(of, now)


KINDS = (
    declare(
        StorageClass,
        strategy=StorageClassRules(),
        short_names=("sc",),
        columns=columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        row=class_row,
    ),
    declare(
        VolumeAttachment,
        strategy=VolumeAttachmentRules(),
        status=True,
        status_metadata=(),
        columns=columns("Name", "Attacher", "PV", "Node", "Attached:boolean", "Age"),
        row=attachment_row,
    ),
    declare(
        CSIDriver,
        strategy=CSIDriverRules(),
        columns=columns(
            "Name",
            "AttachRequired:boolean",
            "PodInfoOnMount:boolean",
            "StorageCapacity:boolean",
            "TokenRequests",
            "RequiresRepublish:boolean",
            "Modes",
            "Age",
        ),
        row=driver_row,
    ),
    declare(
        CSINode,
        strategy=CSINodeRules(),
        columns=columns("Name", "Drivers:integer", "Age"),
        row=csi_node_row,
    ),
    declare(
        CSIStorageCapacity,
        strategy=CSIStorageCapacityRules(),
        columns=columns("Name", "StorageClassName", "Capacity", "Age"),
        row=capacity_row,
    ),
    declare(
        VolumeAttributesClass,
        strategy=VolumeAttributesClassRules(),
        short_names=("vac",),
        columns=columns("Name", "DriverName", "Age"),
        row=attributes_row,
    ),
)
