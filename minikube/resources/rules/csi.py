"""What CSI drivers, their nodes, capacities and attachments may say (pkg/apis/storage/validation)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from minikube.api import quantity
from minikube.api.names import qualified_name_problems, subdomain_problems
from minikube.api.storage_v1 import (
    CSIDriver,
    CSIDriverSpec,
    CSINode,
    CSINodeDriver,
    CSIStorageCapacity,
    VolumeAttachment,
)
from minikube.errors import FieldError
from minikube.resources.base import Obj, Strategy
from minikube.resources.rules.invalid import (
    at,
    duplicate,
    forbidden,
    immutable,
    invalid,
    not_negative,
    not_supported,
    one_of,
    required,
)
from minikube.resources.rules.labelling import label_selector
from minikube.resources.rules.volumes import csi_driver_name
from minikube.resources.warnings.common import selector_warnings

TOKEN_SECONDS, LONGEST_TOKEN = 600, 1 << 32
NODE_ID_LENGTH = 256
ALLOCATABLE_SECONDS = 10


class CSIDriverRules(Strategy[CSIDriver]):
    def validate(self, new: CSIDriver, old: CSIDriver | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from csi_driver_name(new.metadata.name, "metadata.name")
        for mode in spec.volume_lifecycle_modes:
            if mode not in ("Ephemeral", "Persistent"):
                yield not_supported("spec.volumeLifecycleModes", mode, ("Ephemeral", "Persistent"))
        policies = ("File", "None", "ReadWriteOnceWithFSType")
        yield from one_of("spec.fsGroupPolicy", spec.fs_group_policy, policies)
        yield from _tokens(spec)
        period = spec.node_allocatable_update_period_seconds
        if period is not None and period < ALLOCATABLE_SECONDS:
            where = "spec.nodeAllocatableUpdatePeriodSeconds"
            yield invalid(where, period, "must be greater than or equal to 10 seconds")
        if old is not None:
            yield from immutable("spec.attachedRequired", spec.attach_required, old.spec.attach_required)
            now, before = spec.volume_lifecycle_modes, old.spec.volume_lifecycle_modes
            yield from immutable("spec.volumeLifecycleModes", now, before)


def _tokens(spec: CSIDriverSpec) -> Iterator[FieldError]:
    audiences: set[str] = set()
    for index, one in enumerate(spec.token_requests):
        path = at("spec.tokenRequests", index)
        if one.audience in audiences:
            yield duplicate(f"{path}.audience", one.audience)
            continue
        audiences.add(one.audience)
        seconds = one.expiration_seconds
        if seconds is not None and seconds < TOKEN_SECONDS:
            yield invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > LONGEST_TOKEN:
            yield invalid(
                f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"
            )


class CSINodeRules(Strategy[CSINode]):
    def default(self, new: Obj) -> None:
        """The schema requires what a node without drivers does not say."""
        spec = new.get("spec") or {}
        new["spec"] = {**spec, "drivers": spec.get("drivers") or []}

    def validate(self, new: CSINode, old: CSINode | None) -> Iterator[FieldError]:
        before = {one.name: replace(one, allocatable=None) for one in old.spec.drivers} if old is not None else {}
        seen: set[str] = set()
        for index, driver in enumerate(new.spec.drivers):
            path = at("spec.drivers", index)
            yield from _driver(driver, path)
            if driver.name in seen:
                yield duplicate(f"{path}.name", driver.name)
            seen.add(driver.name)
            if (known := before.get(driver.name)) is not None:
                yield from immutable("spec.drivers", replace(driver, allocatable=None), known)


def _driver(driver: CSINodeDriver, path: str) -> Iterator[FieldError]:
    yield from csi_driver_name(driver.name, f"{path}.name")
    if not driver.node_id:
        yield required(f"{path}.nodeID")
    if len(driver.node_id) > NODE_ID_LENGTH:
        yield invalid(f"{path}.nodeID", driver.node_id, f"must be {NODE_ID_LENGTH} characters or less")
    if driver.allocatable is not None:
        yield from not_negative(f"{path}.allocatable.count", driver.allocatable.count)
    for number, name in enumerate(driver.topology_keys):
        if not name:
            yield required(path)
        if name in driver.topology_keys[:number]:
            yield duplicate(path, name)
        for why in qualified_name_problems(name):
            yield invalid(path, name, why)


class CSIStorageCapacityRules(Strategy[CSIStorageCapacity]):
    def validate(self, new: CSIStorageCapacity, old: CSIStorageCapacity | None) -> Iterator[FieldError]:
        yield from label_selector(new.node_topology, "nodeTopology")
        for why in subdomain_problems(new.storage_class_name):
            yield invalid("storageClassName", new.storage_class_name, why)
        if new.capacity is not None and quantity.parse(new.capacity) < 0:
            yield invalid("capacity", new.capacity, "must be greater than or equal to 0")
        if old is not None:
            yield from immutable("nodeTopology", new.node_topology, old.node_topology)
            yield from immutable("storageClassName", new.storage_class_name, old.storage_class_name)

    def warnings(self, new: CSIStorageCapacity, old: CSIStorageCapacity | None) -> Iterator[str]:
        yield from selector_warnings(new.node_topology, "nodeTopology")


class VolumeAttachmentRules(Strategy[VolumeAttachment]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"attached": False}

    def validate(self, new: VolumeAttachment, old: VolumeAttachment | None) -> Iterator[FieldError]:
        spec = new.spec
        yield from csi_driver_name(spec.attacher, "spec.attacher")
        named, inline = spec.source.persistent_volume_name, spec.source.inline_volume_spec
        if not named and inline is None:
            yield required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
        elif named and inline is not None:
            yield forbidden("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
        if not spec.node_name:
            yield required("spec.nodeName")
        if old is not None:
            yield from immutable("spec", spec, old.spec)
