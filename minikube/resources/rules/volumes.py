"""Volumes of pods (ValidateVolumes, validateVolumeSource)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from minikube.api import quantity
from minikube.api.core_v1 import (
    ConfigMapVolumeSource,
    CSIVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    EphemeralVolumeSource,
    HostPathVolumeSource,
    ImageVolumeSource,
    ISCSIVolumeSource,
    KeyToPath,
    NFSVolumeSource,
    PersistentVolumeClaimVolumeSource,
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
)
from minikube.api.names import label_problems, subdomain_problems
from minikube.errors import FieldError
from minikube.kit.structs import fields
from minikube.resources.rules.certificate import pod_certificate, written
from minikube.resources.rules.claims import claim_spec
from minikube.resources.rules.downward import field_ref, resource_ref
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_supported, required, too_long
from minikube.resources.rules.labelling import file_below, label_selector, no_back_steps, template_metadata

_HOST_PATHS = (
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
)  # fmt: skip
MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def file_mode(mode: int | None, path: str) -> Iterator[FieldError]:
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(path, mode, MODE)


def volumes(given: Sequence[Volume], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        yield from _source(one, where)
        if not one.name:
            yield required(f"{where}.name")
        else:
            for why in label_problems(one.name):
                yield invalid(f"{where}.name", one.name, why)
        if one.name in seen:
            yield duplicate(f"{where}.name", one.name)
        seen.add(one.name)


def _fields(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    return {one.name: one.encode_name for one in fields(kind) if one.name != "name"}


_SOURCES = _fields(Volume)


def _source(volume: Volume, path: str) -> Iterator[FieldError]:
    found = [(name, wire) for name, wire in _SOURCES.items() if getattr(volume, name) is not None]
    for _, wire in found[1:]:
        yield forbidden(f"{path}.{wire}", "may not specify more than 1 volume type")
    for name, wire in found[:1]:
        if check := _CHECKS.get(name):
            yield from check(getattr(volume, name), f"{path}.{wire}")
        else:
            yield from _required_of(getattr(volume, name), f"{path}.{wire}")


def _required_of(source: msgspec.Struct, path: str) -> Iterator[FieldError]:
    """Of plugins that this cluster does not have: that what is required is there."""
    for one in fields(type(source)):
        if one.default_factory in (str, tuple) and not getattr(source, one.name):
            yield required(f"{path}.{one.encode_name}")


def _items(items: Sequence[KeyToPath], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(items):
        where = at(f"{path}.items", index)
        if not one.key:
            yield required(f"{where}.key")
        if not one.path:
            yield required(f"{where}.path")
        yield from file_below(one.path, f"{where}.path")
        yield from file_mode(one.mode, f"{where}.mode")


def _config_map(source: ConfigMapVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.name:
        yield required(f"{path}.name")
    yield from file_mode(source.default_mode, f"{path}.defaultMode")
    yield from _items(source.items, path)


def _secret(source: SecretVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.secret_name:
        yield required(f"{path}.secretName")
    yield from file_mode(source.default_mode, f"{path}.defaultMode")
    yield from _items(source.items, path)


def _files(files: Sequence[DownwardAPIVolumeFile], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(files):
        where = at(path, index) if path.endswith("items") else path
        if not one.path:
            yield required(f"{where}.path")
        yield from file_below(one.path, f"{where}.path")
        if one.field_ref:
            yield from field_ref(one.field_ref, f"{where}.fieldRef", in_volume=True)
            if one.resource_field_ref:
                yield invalid(
                    where, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
                )
        elif one.resource_field_ref:
            yield from resource_ref(one.resource_field_ref, f"{where}.resourceFieldRef", in_volume=True)
        else:
            yield required(where, "one of fieldRef and resourceFieldRef is required")
        yield from file_mode(one.mode, f"{where}.mode")


def _downward(source: DownwardAPIVolumeSource, path: str) -> Iterator[FieldError]:
    yield from file_mode(source.default_mode, f"{path}.defaultMode")
    yield from _files(source.items, f"{path}.items")


def _projected(source: ProjectedVolumeSource, path: str) -> Iterator[FieldError]:
    yield from file_mode(source.default_mode, f"{path}.defaultMode")
    taken: set[str] = set()
    for index, one in enumerate(source.sources):
        where = at(f"{path}.sources", index)
        given = [field for field in fields(type(one)) if getattr(one, field.name) is not None]
        for extra in given[1:]:
            yield forbidden(f"{where}.{extra.encode_name}", "may not specify more than 1 volume type")
        paths: list[tuple[str, str]] = []
        for wire, named in (("secret", one.secret), ("configMap", one.config_map)):
            if named:
                if not named.name:
                    yield required(f"{where}.{wire}.name")
                yield from _items(named.items, f"{where}.{wire}")
                paths += [(entry.path, f"{where}.{wire}") for entry in named.items]
        if one.downward_api:
            yield from _files(one.downward_api.items, f"{where}.downwardAPI.items")
            paths += [(entry.path, f"{where}.downwardAPI") for entry in one.downward_api.items]
        if one.service_account_token:
            yield from _token(one.service_account_token, f"{where}.serviceAccountToken")
        if bundle := one.cluster_trust_bundle:
            yield from label_selector(bundle.label_selector, f"{where}.clusterTrustBundle.labelSelector")
            if not bundle.path:
                yield required(f"{where}.clusterTrustBundle.path")
            paths.append((bundle.path, f"{where}.clusterTrustBundle"))
        if certificate := one.pod_certificate:
            yield from pod_certificate(certificate, f"{where}.podCertificate")
            paths += [(each, f"{where}.podCertificate") for each in written(certificate).values()]
        for target, inside in paths:
            if target and target in taken:
                yield invalid(inside, source.sources[index], f'conflicting duplicate paths: "{target}"')
            taken.add(target)


def _token(source: ServiceAccountTokenProjection, path: str) -> Iterator[FieldError]:
    where = f"{path}.expirationSeconds"
    seconds = source.expiration_seconds
    if seconds is not None and seconds < 600:
        yield invalid(where, seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > 1 << 32:
        yield invalid(where, seconds, "may not specify a duration larger than 2^32 seconds")
    if not source.path:
        yield required(f"{path}.path")
    else:
        yield from file_below(source.path, f"{path}.path")


def _empty_dir(source: EmptyDirVolumeSource, path: str) -> Iterator[FieldError]:
    limit = source.size_limit
    if limit is not None and quantity.valid(limit) and quantity.parse(limit) < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def host_path(source: HostPathVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.path:
        yield required(f"{path}.path")
        return
    yield from no_back_steps(source.path, f"{path}.path")
    if source.type not in _HOST_PATHS:
        yield not_supported(f"{path}.type", source.type, _HOST_PATHS)


def nfs(source: NFSVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.server:
        yield required(f"{path}.server")
    if not source.path:
        yield required(f"{path}.path")
    if not posixpath.isabs(source.path):
        yield invalid(f"{path}.path", source.path, "must be an absolute path")


def _claim(source: PersistentVolumeClaimVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.claim_name:
        yield required(f"{path}.claimName")


def _csi(source: CSIVolumeSource, path: str) -> Iterator[FieldError]:
    yield from csi_driver_name(source.driver, f"{path}.driver")
    if source.node_publish_secret_ref and not source.node_publish_secret_ref.name:
        yield required(f"{path}.nodePublishSecretRef.name")


def csi_driver_name(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if len(name) > 63:
        yield too_long(path, 63)
    for why in subdomain_problems(name.lower()):
        yield invalid(path, name, why)


def _iscsi(source: ISCSIVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.target_portal:
        yield required(f"{path}.targetPortal")
    if not source.iqn:
        yield required(f"{path}.iqn")
    elif not source.iqn.startswith(("iqn", "eui", "naa")):
        yield invalid(f"{path}.iqn", source.iqn, "must be valid format starting with iqn, eui, or naa")
    if not 0 <= source.lun <= 255:
        yield invalid(f"{path}.lun", source.lun, "must be between 0 and 255, inclusive")


def _image(source: ImageVolumeSource, path: str) -> Iterator[FieldError]:
    if not source.reference:
        yield required(f"{path}.reference")
    if source.pull_policy not in ("", "Always", "IfNotPresent", "Never"):
        yield not_supported(f"{path}.pullPolicy", source.pull_policy, ("Always", "IfNotPresent", "Never"))


def _ephemeral(source: EphemeralVolumeSource, path: str) -> Iterator[FieldError]:
    template = source.volume_claim_template
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
        return
    if template.metadata:
        yield from template_metadata(template.metadata, f"{path}.volumeClaimTemplate.metadata")
    yield from claim_spec(template.spec, f"{path}.volumeClaimTemplate.spec")


_CHECKS: Mapping[str, Callable[[Any, str], Iterator[FieldError]]] = {
    "config_map": _config_map,
    "secret": _secret,
    "downward_api": _downward,
    "projected": _projected,
    "empty_dir": _empty_dir,
    "host_path": host_path,
    "nfs": nfs,
    "persistent_volume_claim": _claim,
    "csi": _csi,
    "iscsi": _iscsi,
    "image": _image,
    "ephemeral": _ephemeral,
}
