"""Files of one volume that hide each other (warningsForOverlappingVirtualPaths of pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from minikube.api.core_v1 import Volume, VolumeProjection
from minikube.resources.rules.invalid import quoted


class _Path(msgspec.Struct, frozen=True):
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f"{quoted(self.path)} ({self.source})" if self.source else quoted(self.path)


def overlap_warnings(volumes: Sequence[Volume]) -> Iterator[str]:
    for volume in volumes:
        for source, paths in _sources(volume):
            for pair in _overlaps(paths):
                yield f"volume {quoted(volume.name)} ({source}): overlapping paths: {pair}"
        for projection in volume.projected.sources if volume.projected is not None else ():
            if projection == VolumeProjection():
                yield f"volume {quoted(volume.name)} (Projected) has no sources provided"


def _sources(volume: Volume) -> Iterator[tuple[str, Iterable[_Path]]]:
    if volume.config_map is not None:
        yield f"ConfigMap {quoted(volume.config_map.name)}", (_Path(one.path) for one in volume.config_map.items)
    if volume.secret is not None:
        yield f"Secret {quoted(volume.secret.secret_name)}", (_Path(one.path) for one in volume.secret.items)
    if volume.downward_api is not None:
        yield "DownwardAPI", (_Path(one.path) for one in volume.downward_api.items)
    if volume.projected is not None:
        yield "Projected", (path for one in volume.projected.sources for path in _projected(one))


def _projected(one: VolumeProjection) -> Iterator[_Path]:
    if one.config_map is not None and one.config_map.items:
        source = f"ConfigMap {quoted(one.config_map.name)}"
        yield from (_Path(item.path, source) for item in one.config_map.items)
    elif one.secret is not None and one.secret.items:
        source = f"Secret {quoted(one.secret.name)}"
        yield from (_Path(item.path, source) for item in one.secret.items)
    elif one.downward_api is not None and one.downward_api.items:
        yield from (_Path(file.path, "DownwardAPI") for file in one.downward_api.items)
    elif one.service_account_token is not None:
        yield _Path(one.service_account_token.path, "ServiceAccountToken")
    elif one.cluster_trust_bundle is not None:
        bundle = one.cluster_trust_bundle
        yield _Path(bundle.path, f"ClusterTrustBundle {quoted(bundle.name or bundle.signer_name)}")
    elif one.pod_certificate is not None:
        certificate = one.pod_certificate
        for path, what in (
            (certificate.certificate_chain_path, "chain"),
            (certificate.key_path, "key"),
            (certificate.credential_bundle_path, "credential bundle"),
        ):
            if path:
                yield _Path(path, f"PodCertificate {what}")


def _overlaps(paths: Iterable[_Path]) -> Iterator[str]:
    """Each path with those before it that are the same, its directory, or below it."""
    seen: list[_Path] = []
    for given in paths:
        one = _Path(given.path.rstrip("/"), given.source)
        for other in seen if one.path else ():
            if other.path and (
                f"{other.path}/".startswith(f"{one.path}/") or f"{one.path}/".startswith(f"{other.path}/")
            ):
                yield f"{one} with {other}"
        seen.append(one)
