"""What a pod refers to by name and its node therefore may read (k8s.io/kubernetes/pkg/api/v1/pod)."""

from __future__ import annotations

from collections.abc import Iterator

from minikube.api.core_v1 import Container, EphemeralContainer, Pod, Volume, VolumeProjection

AnyContainer = Container | EphemeralContainer


def references(pod: Pod) -> Iterator[tuple[str, str]]:
    """(plural, name) in the pod's namespace; the same one may come more than once."""
    spec = pod.spec
    if spec.service_account_name:
        yield "serviceaccounts", spec.service_account_name
    for secret in spec.image_pull_secrets:
        yield "secrets", secret.name
    containers: tuple[AnyContainer, ...] = (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)
    for container in containers:
        yield from _of_container(container)
    for volume in spec.volumes:
        yield from _of_volume(pod, volume)
    for status in pod.status.resource_claim_statuses:
        if status.resource_claim_name:
            yield "resourceclaims", status.resource_claim_name
    for claim in spec.resource_claims:
        if claim.resource_claim_name:
            yield "resourceclaims", claim.resource_claim_name


def projected_sources(pod: Pod) -> Iterator[VolumeProjection]:
    for volume in pod.spec.volumes:
        if volume.projected is not None:
            yield from volume.projected.sources


def _of_container(container: AnyContainer) -> Iterator[tuple[str, str]]:
    for source in container.env_from:
        if source.secret_ref is not None:
            yield "secrets", source.secret_ref.name
        if source.config_map_ref is not None:
            yield "configmaps", source.config_map_ref.name
    for variable in container.env:
        value = variable.value_from
        if value is not None and value.secret_key_ref is not None:
            yield "secrets", value.secret_key_ref.name
        if value is not None and value.config_map_key_ref is not None:
            yield "configmaps", value.config_map_key_ref.name


def _of_volume(pod: Pod, volume: Volume) -> Iterator[tuple[str, str]]:
    if volume.secret is not None:
        yield "secrets", volume.secret.secret_name
    if volume.config_map is not None:
        yield "configmaps", volume.config_map.name
    for source in volume.projected.sources if volume.projected is not None else ():
        if source.secret is not None:
            yield "secrets", source.secret.name
        if source.config_map is not None:
            yield "configmaps", source.config_map.name
    if volume.csi is not None and volume.csi.node_publish_secret_ref is not None:
        yield "secrets", volume.csi.node_publish_secret_ref.name
    if volume.persistent_volume_claim is not None:
        yield "persistentvolumeclaims", volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        yield "persistentvolumeclaims", f"{pod.metadata.name}-{volume.name}"
