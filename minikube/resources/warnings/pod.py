"""What pods and pod templates are told (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from minikube.api.core_v1 import (
    AppArmorProfile,
    Container,
    ContainerPort,
    EnvVar,
    EphemeralContainer,
    Pod,
    PodSpec,
    PodTemplateSpec,
)
from minikube.resources.rules.invalid import at, key, quoted
from minikube.resources.warnings.addresses import address_warnings
from minikube.resources.warnings.common import (
    NODE_LABELS,
    claim_warnings,
    fraction_warnings,
    pod_name_warnings,
    term_warnings,
)
from minikube.resources.warnings.overlaps import overlap_warnings

BYTES = ("memory", "ephemeral-storage")
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
SECCOMP_INSTEAD = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
APP_ARMOR_INSTEAD = 'deprecated since v1.30; use the "appArmorProfile" field instead'
VOLUMES = (
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("git_repo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
"""Volume plugins that are gone: attribute, field, since when."""
NO_POD = "a null labelSelector results in matching no pod"

Placed = tuple[str, Container | EphemeralContainer]
"""A container and its path."""


def pod_warnings(pod: Pod) -> Iterator[str]:
    yield from pod_name_warnings(pod.metadata.name, "in the Pod's hostname")
    yield from _spec(pod.spec, pod.metadata.annotations, "", template=False)


def template_warnings(template: PodTemplateSpec | None, path: str = "spec.template") -> Iterator[str]:
    if template is not None:
        yield from _spec(template.spec, template.metadata.annotations, f"{path}.", template=True)


def _spec(spec: PodSpec, annotations: Mapping[str, str], prefix: str, *, template: bool) -> Iterator[str]:
    path, noted = f"{prefix}spec", f"{prefix}metadata.annotations"
    placed = list(_containers(spec, path))
    yield from _placement(spec, path)
    for name, why in ANNOTATIONS.items():
        if name in annotations:
            yield f"{key(noted, name)}: {why}"
    yield from _volumes(spec, path)
    yield from _lists(spec, path)
    yield from fraction_warnings(spec.overhead, f"{path}.overhead", BYTES)
    security = spec.security_context
    if SECCOMP_POD in annotations and (security is None or security.seccomp_profile is None):
        yield f"{key(noted, SECCOMP_POD)}: {SECCOMP_INSTEAD}"
    whole = security.app_armor_profile if security is not None else None
    for where, one in placed:
        yield from _annotated(one, annotations, noted, whole, template=template)
        if one.resources is not None:
            yield from fraction_warnings(one.resources.limits, f"{where}.resources.limits", BYTES)
            yield from fraction_warnings(one.resources.requests, f"{where}.resources.requests", BYTES)
        yield from _environment(one.env, f"{where}.env")
    yield from _ports(placed)
    if (spec.termination_grace_period_seconds or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {why}"
    yield from _no_pods(spec, path)
    yield from _addresses(spec, path)


def _containers(spec: PodSpec, path: str) -> Iterator[Placed]:
    for index, init in enumerate(spec.init_containers):
        yield at(f"{path}.initContainers", index), init
    for index, one in enumerate(spec.containers):
        yield at(f"{path}.containers", index), one
    for index, late in enumerate(spec.ephemeral_containers):
        yield at(f"{path}.ephemeralContainers", index), late


def _placement(spec: PodSpec, path: str) -> Iterator[str]:
    for label in sorted(spec.node_selector.keys() & NODE_LABELS.keys()):
        yield f"{key(f'{path}.nodeSelector', label)}: {NODE_LABELS[label]}"
    nodes = spec.affinity.node_affinity if spec.affinity is not None else None
    if nodes is not None:
        where = f"{path}.affinity.nodeAffinity"
        required = nodes.required_during_scheduling_ignored_during_execution
        for index, term in enumerate(required.node_selector_terms if required is not None else ()):
            terms = f"{where}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
            yield from term_warnings(term, at(terms, index))
        for index, preferred in enumerate(nodes.preferred_during_scheduling_ignored_during_execution):
            terms = f"{where}.preferredDuringSchedulingIgnoredDuringExecution"
            yield from term_warnings(preferred.preference, f"{at(terms, index)}.preference", values=True)
    for index, one in enumerate(spec.topology_spread_constraints):
        where = at(f"{path}.topologySpreadConstraints", index)
        if one.topology_key in NODE_LABELS:
            yield f"{where}.topologyKey: {one.topology_key} is {NODE_LABELS[one.topology_key]}"
        if one.label_selector is None:
            yield f"{where}.labelSelector: {NO_POD}"


def _volumes(spec: PodSpec, path: str) -> Iterator[str]:
    for index, volume in enumerate(spec.volumes):
        where = at(f"{path}.volumes", index)
        for attribute, name, why in VOLUMES:
            if getattr(volume, attribute) is not None:
                yield f"{where}.{name}: {why}"
        claim = volume.ephemeral.volume_claim_template if volume.ephemeral is not None else None
        if claim is not None:
            yield from claim_warnings(claim.spec, f"{where}.ephemeral.volumeClaimTemplate.spec")
    yield from overlap_warnings(spec.volumes)


def _lists(spec: PodSpec, path: str) -> Iterator[str]:
    """What is there twice, or says nothing."""
    seen: set[str] = set()
    for index, alias in enumerate(spec.host_aliases):
        if alias.ip in seen:
            yield f"{at(f'{path}.hostAliases', index)}.ip: duplicate ip {quoted(alias.ip)}"
        seen.add(alias.ip)
    seen.clear()
    for index, secret in enumerate(spec.image_pull_secrets):
        if secret.name in seen:
            yield f"{at(f'{path}.imagePullSecrets', index)}.name: duplicate name {quoted(secret.name)}"
        seen.add(secret.name)
    for index, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            yield f'{at(f"{path}.imagePullSecrets", index)}.name: invalid empty name ""'


def _annotated(
    one: Container | EphemeralContainer,
    annotations: Mapping[str, str],
    noted: str,
    whole: AppArmorProfile | None,
    *,
    template: bool,
) -> Iterator[str]:
    """Annotations that became fields of a container. `whole`: the profile of the pod."""
    if not annotations:
        return
    security = one.security_context
    name = SECCOMP_CONTAINER + one.name
    if name in annotations and (security is None or security.seccomp_profile is None):
        yield f"{key(noted, name)}: {SECCOMP_INSTEAD}"
    name = APP_ARMOR + one.name
    if name not in annotations or (security is not None and security.app_armor_profile is not None):
        return
    said_by_pod = whole is not None if template else whole is not None and app_armor(annotations[name]) == whole
    if not said_by_pod:
        yield f"{key(noted, name)}: {APP_ARMOR_INSTEAD}"


def app_armor(annotation: str) -> AppArmorProfile | None:
    """The profile that an annotation names, if it names any."""
    if annotation == "unconfined":
        return AppArmorProfile(type="Unconfined")
    if annotation == "runtime/default":
        return AppArmorProfile(type="RuntimeDefault")
    kind, slash, name = annotation.partition("/")
    if kind == "localhost" and slash and name:
        return AppArmorProfile(type="Localhost", localhost_profile=name)
    return None


def _environment(variables: Sequence[EnvVar], path: str) -> Iterator[str]:
    """A later definition of a variable should extend the earlier one."""
    seen: set[str] = set()
    for index, one in enumerate(variables):
        before = f"$({one.name})"
        extends = one.value_from is None and one.value != before and before in one.value
        if one.name in seen and not extends:
            why = f"hides previous definition of {quoted(one.name)}, which may be dropped when using apply"
            yield f"{at(path, index)}: {why}"
        seen.add(one.name)


def _ports(placed: Sequence[Placed]) -> Iterator[str]:
    ports = [(at(f"{where}.ports", index), port) for where, one in placed for index, port in enumerate(one.ports)]
    seen: dict[tuple[int, str], list[tuple[str, ContainerPort]]] = {}
    for path, port in ports:
        if port.host_ip and not port.host_port:
            yield f"{path}: hostIP set without hostPort: {_shown(port)}"
        others = seen.setdefault((port.container_port, port.protocol), [])
        for other_path, other in others:
            if relation := _relation(port, other):
                yield f"{path}: {relation} port definition with {other_path}"
        others.append((path, port))
    named: dict[str, str] = {}
    for path, port in ports:
        first = named.setdefault(port.name, path) if port.name else path
        if first != path:
            yield (
                f"{path}: duplicate port name {quoted(port.name)} with {first}, services and probes that select "
                f"ports by name will use {first}"
            )


def _relation(port: ContainerPort, other: ContainerPort) -> str:
    """Of two ports with one number and protocol."""
    mine, theirs = port.host_port or 0, other.host_port or 0
    if port.host_ip == other.host_ip and mine == theirs:
        return "duplicate"
    if not mine or not theirs:
        return "overlapping"
    if mine == theirs and bool(port.host_ip) != bool(other.host_ip):
        return "dangerously ambiguous"
    return ""


def _shown(port: ContainerPort) -> str:
    return (
        f"{{Name:{port.name} HostPort:{port.host_port or 0} ContainerPort:{port.container_port} "
        f"Protocol:{port.protocol} HostIP:{port.host_ip}}}"
    )


def _no_pods(spec: PodSpec, path: str) -> Iterator[str]:
    if spec.affinity is None:
        return
    for name, affinity in (
        ("podAffinity", spec.affinity.pod_affinity),
        ("podAntiAffinity", spec.affinity.pod_anti_affinity),
    ):
        if affinity is None:
            continue
        where = f"{path}.affinity.{name}"
        for index, term in enumerate(affinity.required_during_scheduling_ignored_during_execution):
            if term.label_selector is None:
                terms = f"{where}.requiredDuringSchedulingIgnoredDuringExecution"
                yield f"{at(terms, index)}.labelSelector: {NO_POD}"
        for index, weighted in enumerate(affinity.preferred_during_scheduling_ignored_during_execution):
            if weighted.pod_affinity_term.label_selector is None:
                terms = f"{where}.preferredDuringSchedulingIgnoredDuringExecution"
                yield f"{at(terms, index)}.podAffinityTerm.labelSelector: {NO_POD}"


def _addresses(spec: PodSpec, path: str) -> Iterator[str]:
    for index, server in enumerate(spec.dns_config.nameservers if spec.dns_config is not None else ()):
        yield from address_warnings(server, at(f"{path}.dnsConfig.nameservers", index))
    for index, alias in enumerate(spec.host_aliases):
        yield from address_warnings(alias.ip, f"{at(f'{path}.hostAliases', index)}.ip")
