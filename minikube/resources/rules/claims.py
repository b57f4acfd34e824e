"""Claims of persistent volumes, alone, in templates and in pods (ValidatePersistentVolumeClaimSpec)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minikube.api import quantity
from minikube.api.core_v1 import PersistentVolumeClaimSpec
from minikube.api.names import subdomain_problems
from minikube.errors import FieldError
from minikube.resources.rules.invalid import forbidden, invalid, key, not_supported, required
from minikube.resources.rules.labelling import label_selector

MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def access_modes(modes: Sequence[str], path: str) -> Iterator[FieldError]:
    for mode in modes:
        if mode not in MODES:
            yield not_supported(path, mode, MODES)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def claim_spec(spec: PersistentVolumeClaimSpec, path: str) -> Iterator[FieldError]:
    if not spec.access_modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from label_selector(spec.selector, f"{path}.selector")
    yield from access_modes(spec.access_modes, f"{path}.accessModes")
    requests = spec.resources.requests if spec.resources else {}
    where = key(f"{path}.resources", "storage")
    if "storage" not in requests:
        yield required(where)
    elif quantity.valid(requests["storage"]) and quantity.parse(requests["storage"]) <= 0:
        yield invalid(where, quantity.canonical(requests["storage"]), "must be greater than zero")
    if spec.storage_class_name:
        for why in subdomain_problems(spec.storage_class_name):
            yield invalid(f"{path}.storageClassName", spec.storage_class_name, why)
    if spec.volume_mode not in ("", "Block", "Filesystem"):
        yield not_supported(f"{path}.volumeMode", spec.volume_mode, ("Block", "Filesystem"))
    yield from _data_source(spec, path)


def _data_source(spec: PersistentVolumeClaimSpec, path: str) -> Iterator[FieldError]:
    for name, source in (("dataSource", spec.data_source), ("dataSourceRef", spec.data_source_ref)):
        if source is None:
            continue
        if not source.name:
            yield required(f"{path}.{name}.name")
        if not source.kind:
            yield required(f"{path}.{name}.kind")
        for why in subdomain_problems(source.api_group) if source.api_group else ():
            yield invalid(f"{path}.{name}.apiGroup", source.api_group, why)
        if not source.api_group and source.kind != "PersistentVolumeClaim":
            why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            yield invalid(f"{path}.{name}", source.kind, why)
    one, other = spec.data_source, spec.data_source_ref
    if one is None or other is None or other.namespace:
        return
    if (one.api_group, one.kind, one.name) != (other.api_group, other.kind, other.name):
        yield invalid(path, f"{path}.dataSource", "must match dataSourceRef")
