"""What volumes, claims and classes may say (ValidatePersistentVolume, pkg/apis/storage/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from minikube.api import quantity, time
from minikube.api.core_v1 import (
    CSIPersistentVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    TopologySelectorTerm,
)
from minikube.api.names import qualified_name_problems, subdomain_problems
from minikube.api.storage_v1 import StorageClass, VolumeAttributesClass
from minikube.errors import FieldError
from minikube.kit.clock import SYSTEM
from minikube.kit.structs import fields
from minikube.resources.base import Obj, ReadOnlyObj, Strategy
from minikube.resources.rules.claims import access_modes, claim_spec
from minikube.resources.rules.invalid import (
    at,
    duplicate,
    forbidden,
    immutable,
    invalid,
    key,
    not_supported,
    one_of,
    required,
    too_long,
)
from minikube.resources.rules.labelling import label_name
from minikube.resources.rules.placement import node_selector
from minikube.resources.rules.pod import difference
from minikube.resources.rules.volumes import csi_driver_name, host_path, nfs
from minikube.resources.warnings.kinds import storage_class_warnings, volume_claim_warnings, volume_warnings

_NO_SOURCE = frozenset({
    "access_modes", "capacity", "claim_ref", "mount_options", "node_affinity", "persistent_volume_reclaim_policy",
    "storage_class_name", "volume_attributes_class_name", "volume_mode",
})  # fmt: skip
_SOURCES = {one.name: one.encode_name for one in fields(PersistentVolumeSpec) if one.name not in _NO_SOURCE}
_MOST_PARAMETERS, _LONGEST_PARAMETERS = 512, 256 * 1024
_CLAIM_FIXED = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


class PersistentVolumeRules(Strategy[PersistentVolume]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"phase": "Pending", "lastPhaseTransitionTime": time.text(SYSTEM.now())}

    def prepare_status(self, new: Obj, old: ReadOnlyObj) -> None:
        """When the phase changes, this is when (unless the client says another time)."""
        status, before = new.get("status") or {}, old.get("status") or {}
        same = status.get("lastPhaseTransitionTime") == before.get("lastPhaseTransitionTime")
        if status.get("phase") != before.get("phase") and same:
            status["lastPhaseTransitionTime"] = time.text(SYSTEM.now())

    def validate(self, new: PersistentVolume, old: PersistentVolume | None) -> Iterator[FieldError]:
        spec = new.spec
        if not spec.access_modes:
            yield required("spec.accessModes")
        yield from access_modes(spec.access_modes, "spec.accessModes")
        if not spec.capacity:
            yield required("spec.capacity")
        elif set(spec.capacity) != {"storage"}:
            yield not_supported("spec.capacity", spec.capacity, ("storage",))
        for name, amount in spec.capacity.items():
            if quantity.valid(amount) and quantity.parse(amount) <= 0:
                yield invalid(key("spec.capacity", name), quantity.canonical(amount), "must be greater than zero")
        for why in subdomain_problems(spec.storage_class_name) if spec.storage_class_name else ():
            yield invalid("spec.storageClassName", spec.storage_class_name, why)
        policies = ("Delete", "Recycle", "Retain")
        if spec.persistent_volume_reclaim_policy not in ("", *policies):
            path = "spec.persistentVolumeReclaimPolicy"
            yield not_supported(path, spec.persistent_volume_reclaim_policy, policies)
        if spec.volume_mode not in ("", "Block", "Filesystem"):
            yield not_supported("spec.volumeMode", spec.volume_mode, ("Block", "Filesystem"))
        yield from _source(spec)
        if spec.node_affinity:
            if spec.node_affinity.required is None:
                yield required("spec.nodeAffinity.required", "must specify required node constraints")
            else:
                yield from node_selector(spec.node_affinity.required, "spec.nodeAffinity.required")
        if old is not None:
            yield from _volume_update(spec, old.spec)

    def warnings(self, new: PersistentVolume, old: PersistentVolume | None) -> Iterator[str]:
        yield from volume_warnings(new)


def _source(spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    found = [wire for name, wire in _SOURCES.items() if getattr(spec, name) is not None]
    if not found:
        yield required("spec", "must specify a volume type")
        return
    for wire in found[1:]:
        yield forbidden(f"spec.{wire}", "may not specify more than 1 volume type")
    if spec.host_path:
        yield from host_path(spec.host_path, "spec.hostPath")
    if spec.nfs:
        yield from nfs(spec.nfs, "spec.nfs")
    if spec.host_path and spec.host_path.path == "/" and spec.persistent_volume_reclaim_policy == "Recycle":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", why)
    if spec.local:
        if not spec.local.path:
            yield required("spec.local.path")
        elif ".." in spec.local.path.split("/"):
            yield invalid("spec.local.path", spec.local.path, "must not contain '..'")
        if spec.node_affinity is None:
            yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.csi:
        yield from _csi(spec.csi, "spec.csi")


def _csi(source: CSIPersistentVolumeSource, path: str) -> Iterator[FieldError]:
    yield from csi_driver_name(source.driver, f"{path}.driver")
    if not source.volume_handle:
        yield required(f"{path}.volumeHandle")
    for name, secret in (
        ("controllerPublishSecretRef", source.controller_publish_secret_ref),
        ("controllerExpandSecretRef", source.controller_expand_secret_ref),
        ("nodePublishSecretRef", source.node_publish_secret_ref),
        ("nodeExpandSecretRef", source.node_expand_secret_ref),
    ):
        if secret is not None:
            for part, value in (("name", secret.name), ("namespace", secret.namespace)):
                if not value:
                    yield required(f"{path}.{name}.{part}")


def _volume_update(new: PersistentVolumeSpec, old: PersistentVolumeSpec) -> Iterator[FieldError]:
    sources = {name: getattr(new, name) for name in _SOURCES}, {name: getattr(old, name) for name in _SOURCES}
    if sources[0] != sources[1]:
        why = f"spec.persistentvolumesource is immutable after creation\n{difference(new, old)}"
        yield forbidden("spec.persistentvolumesource", why)
    yield from immutable("spec.volumeMode", new.volume_mode, old.volume_mode)
    if old.node_affinity is not None and new.node_affinity != old.node_affinity:
        yield invalid("spec.nodeAffinity", new.node_affinity, "field is immutable")


class PersistentVolumeClaimRules(Strategy[PersistentVolumeClaim]):
    def prepare_create(self, new: Obj) -> None:
        new["status"] = {"phase": "Pending"}
        source = (new.get("spec") or {}).get("dataSource")
        if source and not new["spec"].get("dataSourceRef"):
            new["spec"]["dataSourceRef"] = dict(source)

    def validate(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> Iterator[FieldError]:
        yield from claim_spec(new.spec, "spec")
        if old is not None:
            yield from _claim_update(new.spec, old)

    def warnings(self, new: PersistentVolumeClaim, old: PersistentVolumeClaim | None) -> Iterator[str]:
        yield from volume_claim_warnings(new)


def _claim_update(spec: PersistentVolumeClaimSpec, old: PersistentVolumeClaim) -> Iterator[FieldError]:
    before = old.spec
    bound = old.status.phase == "Bound"
    changes: dict[str, object] = {"volume_attributes_class_name": before.volume_attributes_class_name}
    if not before.volume_name:
        changes["volume_name"] = ""
        if not before.storage_class_name:
            changes["storage_class_name"] = before.storage_class_name
    if bound:
        changes["resources"] = before.resources
    masked = replace(spec, **changes)
    if masked != before:
        yield forbidden("spec", f"{_CLAIM_FIXED}\n{difference(masked, before)}")
    now = (spec.resources.requests if spec.resources else {}).get("storage")
    was = (before.resources.requests if before.resources else {}).get("storage")
    if now is None or was is None or quantity.parse(now) >= quantity.parse(was):
        return
    capacity = old.status.capacity.get("storage")
    if capacity is None or quantity.parse(now) <= quantity.parse(capacity):
        path = "spec.resources.requests.storage"
        yield forbidden(path, "field can not be less than status.capacity")


class StorageClassRules(Strategy[StorageClass]):
    def validate(self, new: StorageClass, old: StorageClass | None) -> Iterator[FieldError]:
        if not new.provisioner:
            yield required("provisioner")
        else:
            for why in qualified_name_problems(new.provisioner.lower()):
                yield invalid("provisioner", new.provisioner, why)
        yield from _parameters(new.parameters)
        if new.reclaim_policy and new.reclaim_policy not in ("Delete", "Retain"):
            yield not_supported("reclaimPolicy", new.reclaim_policy, ("Delete", "Retain"))
        modes = ("Immediate", "WaitForFirstConsumer")
        yield from one_of("volumeBindingMode", new.volume_binding_mode, modes)
        yield from _topologies(new.allowed_topologies)
        if old is None:
            return
        if new.parameters != old.parameters:
            yield forbidden("parameters", "updates to parameters are forbidden.")
        if new.provisioner != old.provisioner:
            yield forbidden("provisioner", "updates to provisioner are forbidden.")
        if new.reclaim_policy != old.reclaim_policy:
            yield forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.")
        yield from immutable("volumeBindingMode", new.volume_binding_mode, old.volume_binding_mode)
        yield from immutable("allowedTopologies", new.allowed_topologies, old.allowed_topologies)

    def warnings(self, new: StorageClass, old: StorageClass | None) -> Iterator[str]:
        yield from storage_class_warnings(new)


def _topologies(given: Sequence[TopologySelectorTerm]) -> Iterator[FieldError]:
    for index, term in enumerate(given):
        keys: set[str] = set()
        for number, one in enumerate(term.match_label_expressions):
            where = at(f"{at('allowedTopologies', index)}.matchLabelExpressions", number)
            if not one.values:
                yield required(f"{where}.values")
            for position, value in enumerate(one.values):
                if value in one.values[:position]:
                    yield duplicate(at(f"{where}.values", position), value)
            yield from label_name(one.key, f"{where}.key")
            if one.key in keys:
                yield duplicate(f"{where}.key", one.key)
            keys.add(one.key)
        if term in given[:index]:
            yield duplicate(f"{at('allowedTopologies', index)}.matchLabelExpressions", "")


def _parameters(given: Mapping[str, str]) -> Iterator[FieldError]:
    if len(given) > _MOST_PARAMETERS:
        yield too_long("parameters", _MOST_PARAMETERS)
        return
    for name in given:
        if not name:
            yield invalid("parameters", name, "field can not be empty.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in given.items()) > _LONGEST_PARAMETERS:
        yield too_long("parameters", _LONGEST_PARAMETERS)


class VolumeAttributesClassRules(Strategy[VolumeAttributesClass]):
    def validate(self, new: VolumeAttributesClass, old: VolumeAttributesClass | None) -> Iterator[FieldError]:
        yield from csi_driver_name(new.driver_name, "driverName")
        if not new.parameters:
            yield required("parameters", "must contain at least one key/value pair")
        yield from _parameters(new.parameters)
        if old is not None:
            if new.driver_name != old.driver_name:
                yield forbidden("driverName", "updates to driverName are forbidden.")
            if new.parameters != old.parameters:
                yield forbidden("parameters", "updates to parameters are forbidden.")
