"""The files of configMap, secret, downwardAPI and projected volumes: a pure function of what they are made from.

Rules and words: pkg/volume/configmap, secret, downwardapi and projected of the kubelet.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from minikube.api.certificates_v1 import ClusterTrustBundle
from minikube.api.core_v1 import (
    ClusterTrustBundleProjection,
    ConfigMap,
    DownwardAPIVolumeFile,
    KeyToPath,
    Pod,
    PodCertificateProjection,
    Secret,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)
from minikube.api.selectors import matches
from minikube.node.container.env import Facts, field_value, resource_value
from minikube.node.volumes.atomic import File
from minikube.node.volumes.ownership import group_of, user_of
from minikube.node.volumes.problems import Unmet

DEFAULT_MODE, PRIVATE_MODE = 0o644, 0o600
TOKEN_SECONDS = 3600
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class TokenKind(msgspec.Struct, frozen=True):
    """What tells one token of a pod from another."""

    audience: str
    seconds: int


class Slot(msgspec.Struct, frozen=True):
    """A source of a volume of a pod, by its place among the volume's sources."""

    volume: str
    index: int


class Credentials(msgspec.Struct, frozen=True):
    """In PEM."""

    key: bytes
    chain: bytes


class Sources(msgspec.Struct, frozen=True):
    """Of the pod's namespace, by name; None is known not to exist."""

    config_maps: Mapping[str, ConfigMap | None] = {}
    secrets: Mapping[str, Secret | None] = {}
    tokens: Mapping[TokenKind, bytes] = {}
    bundles: Sequence[ClusterTrustBundle] = ()
    certificates: Mapping[Slot, Credentials] = {}
    facts: Facts = Facts("", (), ())


def has_files(volume: Volume) -> bool:
    sources = (volume.config_map, volume.secret, volume.downward_api, volume.projected)
    return any(source is not None for source in sources)


def in_memory(volume: Volume) -> bool:
    """Everything but ConfigMaps is kept off the disk."""
    return has_files(volume) and volume.config_map is None


def _projections(volume: Volume) -> Sequence[VolumeProjection]:
    return volume.projected.sources if volume.projected is not None else ()


def config_map_names(volume: Volume) -> Iterator[str]:
    if volume.config_map is not None:
        yield volume.config_map.name
    for source in _projections(volume):
        if source.config_map is not None:
            yield source.config_map.name


def secret_names(volume: Volume) -> Iterator[str]:
    if volume.secret is not None:
        yield volume.secret.secret_name
    for source in _projections(volume):
        if source.secret is not None:
            yield source.secret.name


def token_kinds(volume: Volume) -> Iterator[TokenKind]:
    for source in _projections(volume):
        if source.service_account_token is not None:
            yield token_kind(source.service_account_token)


def token_kind(source: ServiceAccountTokenProjection) -> TokenKind:
    return TokenKind(source.audience, source.expiration_seconds or TOKEN_SECONDS)


def certificate_slots(volume: Volume) -> Iterator[tuple[Slot, PodCertificateProjection]]:
    for index, source in enumerate(_projections(volume)):
        if source.pod_certificate is not None:
            yield Slot(volume.name, index), source.pod_certificate


def needs_bundles(volume: Volume) -> bool:
    return any(source.cluster_trust_bundle is not None for source in _projections(volume))


def files_of(pod: Pod, volume: Volume, given: Sources) -> list[File]:
    """Of a volume with `has_files`. Raises Unmet."""
    if (config := volume.config_map) is not None:
        data = _config_map(given, config.name, optional=bool(config.optional))
        return _picked(data, config.items, config.default_mode, "config", optional=bool(config.optional))
    if (secret := volume.secret) is not None:
        data = _secret(given, secret.secret_name, optional=bool(secret.optional))
        return _picked(data, secret.items, secret.default_mode, "secret", optional=bool(secret.optional))
    if (downward := volume.downward_api) is not None:
        return [_downward(pod, each, downward.default_mode, given) for each in downward.items]
    assert volume.projected is not None
    files: dict[str, File] = {}
    problems = []
    for index, source in enumerate(volume.projected.sources):
        try:
            for file in _projected(pod, source, volume.projected.default_mode, given, Slot(volume.name, index)):
                files[file.path] = file
        except Unmet as error:
            problems.append(str(error))
    if problems:
        raise Unmet(problems[0] if len(problems) == 1 else f"[{', '.join(dict.fromkeys(problems))}]")
    return list(files.values())


def _projected(pod: Pod, source: VolumeProjection, mode: int | None, given: Sources, slot: Slot) -> list[File]:
    if (config := source.config_map) is not None:
        data = _config_map(given, config.name, optional=bool(config.optional))
        return _picked(data, config.items, mode, "config", optional=bool(config.optional))
    if (secret := source.secret) is not None:
        data = _secret(given, secret.name, optional=bool(secret.optional))
        return _picked(data, secret.items, mode, "secret", optional=bool(secret.optional))
    if (downward := source.downward_api) is not None:
        return [_downward(pod, each, mode, given) for each in downward.items]
    if (token := source.service_account_token) is not None:
        return [_private(pod, token.path, given.tokens[token_kind(token)], mode)]
    if (bundle := source.cluster_trust_bundle) is not None:
        return [_private(pod, bundle.path, trust_anchors(bundle, given.bundles), mode)]
    assert source.pod_certificate is not None
    return _certificate(pod, source.pod_certificate, mode, given.certificates[slot])


def _certificate(pod: Pod, source: PodCertificateProjection, mode: int | None, given: Credentials) -> list[File]:
    """In one file, or the key and its certificates apart."""
    wanted = (
        (source.credential_bundle_path, given.key + given.chain),
        (source.key_path, given.key),
        (source.certificate_chain_path, given.chain),
    )
    return [_private(pod, path, content, mode) for path, content in wanted if path]


def _private(pod: Pod, path: str, content: bytes, mode: int | None) -> File:
    """Readable by the pod's one user or its fsGroup alone, if it has such."""
    user = user_of(pod)
    if user is not None or group_of(pod) is not None:
        mode = PRIVATE_MODE
    return File(path, content, _or_default(mode), user)


def _config_map(given: Sources, name: str, *, optional: bool) -> Mapping[str, bytes]:
    found = given.config_maps.get(name)
    if found is None:
        if optional:
            return {}
        raise Unmet(f'configmap "{name}" not found')
    text = {key: value.encode() for key, value in found.data.items()}
    return {**text, **{key: base64.b64decode(value) for key, value in found.binary_data.items()}}


def _secret(given: Sources, name: str, *, optional: bool) -> Mapping[str, bytes]:
    found = given.secrets.get(name)
    if found is None:
        if optional:
            return {}
        raise Unmet(f'secret "{name}" not found')
    return {key: base64.b64decode(value) for key, value in found.data.items()}


def _picked(
    data: Mapping[str, bytes], items: Sequence[KeyToPath], mode: int | None, what: str, *, optional: bool
) -> list[File]:
    usual = _or_default(mode)
    if not items:
        return [File(key, value, usual) for key, value in data.items()]
    files = []
    for item in items:
        if item.key in data:
            files.append(File(item.path, data[item.key], usual if item.mode is None else item.mode))
        elif not optional:
            raise Unmet(f"references non-existent {what} key: {item.key}")
    return files


def _downward(pod: Pod, item: DownwardAPIVolumeFile, mode: int | None, given: Sources) -> File:
    text = ""
    if item.field_ref is not None:
        text = field_value(pod, item.field_ref.field_path, given.facts)
    elif item.resource_field_ref is not None:
        text = resource_value(pod, pod.spec.containers[0], item.resource_field_ref, given.facts)
    return File(item.path, text.encode(), _or_default(mode if item.mode is None else item.mode))


def trust_anchors(source: ClusterTrustBundleProjection, bundles: Sequence[ClusterTrustBundle]) -> bytes:
    """The certificates of the named bundle, or of all selected ones of a signer, each once. Raises Unmet."""
    if source.name:
        found = [one for one in bundles if one.metadata.name == source.name]
    else:
        found = [
            one
            for one in bundles
            if one.spec.signer_name == source.signer_name
            and (source.label_selector is not None and matches(source.label_selector, one.metadata.labels))
        ]
    if not found and not source.optional:
        what = f'"{source.name}"' if source.name else f'of signer "{source.signer_name}"'
        raise Unmet(f"clustertrustbundle {what} not found")
    found.sort(key=lambda one: one.metadata.name)
    pems = dict.fromkeys(pem for one in found for pem in _CERTIFICATE.findall(one.spec.trust_bundle))
    return "".join(f"{pem}\n" for pem in pems).encode()


def _or_default(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode
