"""Containers of pods (validateContainerCommon, validateContainers, validateInitContainers)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from minikube.api.core_v1 import (
    Container,
    ContainerPort,
    ContainerResizePolicy,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    EphemeralContainer,
    PodSpec,
    ResourceClaim,
    Volume,
    VolumeDevice,
    VolumeMount,
)
from minikube.api.names import (
    config_key_problems,
    env_var_problems,
    ip_problems,
    label_problems,
    port_name_problems,
    port_number_problems,
    subdomain_problems,
)
from minikube.errors import FieldError
from minikube.kit.structs import fields
from minikube.resources.rules.amounts import requirements
from minikube.resources.rules.downward import field_ref, resource_ref
from minikube.resources.rules.invalid import at, duplicate, forbidden, invalid, not_found, one_of, required
from minikube.resources.rules.labelling import relative_path
from minikube.resources.rules.probes import lifecycle, probe
from minikube.resources.rules.security import container_security

PROTOCOLS = ("SCTP", "TCP", "UDP")
AnyContainer = Container | EphemeralContainer


def ports(given: Sequence[ContainerPort], path: str) -> Iterator[FieldError]:
    names: set[str] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        if one.name:
            wrong = list(port_name_problems(one.name))
            for why in wrong:
                yield invalid(f"{where}.name", one.name, why)
            if not wrong and one.name in names:
                yield duplicate(f"{where}.name", one.name)
            names.add(one.name)
        if one.container_port == 0:
            yield required(f"{where}.containerPort")
        else:
            for why in port_number_problems(one.container_port):
                yield invalid(f"{where}.containerPort", one.container_port, why)
        if one.host_port:
            for why in port_number_problems(one.host_port):
                yield invalid(f"{where}.hostPort", one.host_port, why)
        yield from one_of(f"{where}.protocol", one.protocol, PROTOCOLS)
        if one.host_ip:
            for why in ip_problems(one.host_ip):
                yield invalid(f"{where}.hostIP", one.host_ip, why)


def env(given: Sequence[EnvVar], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(given):
        where = at(path, index)
        if not one.name:
            yield required(f"{where}.name")
        else:
            for why in env_var_problems(one.name):
                yield invalid(f"{where}.name", one.name, why)
        if one.value_from is not None:
            yield from _value_from(one.value_from, one.value, f"{where}.valueFrom")


def _value_from(source: EnvVarSource, value: str, path: str) -> Iterator[FieldError]:
    if source.field_ref:
        yield from field_ref(source.field_ref, f"{path}.fieldRef")
    if source.resource_field_ref:
        yield from resource_ref(source.resource_field_ref, f"{path}.resourceFieldRef")
    for name, ref in (("configMapKeyRef", source.config_map_key_ref), ("secretKeyRef", source.secret_key_ref)):
        if ref is None:
            continue
        for why in subdomain_problems(ref.name) if ref.name else ():
            yield invalid(f"{path}.{name}.name", ref.name, why)
        if not ref.key:
            yield required(f"{path}.{name}.key")
        else:
            for why in config_key_problems(ref.key):
                yield invalid(f"{path}.{name}.key", ref.key, why)
    count = sum(getattr(source, one.name) is not None for one in fields(EnvVarSource))
    if count == 0:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(path, "", why)
    elif value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _env_from(given: Sequence[EnvFromSource], path: str) -> Iterator[FieldError]:
    for index, one in enumerate(given):
        where = at(path, index)
        if one.prefix:
            for why in env_var_problems(one.prefix):
                yield invalid(f"{where}.prefix", one.prefix, why)
        sources = [(n, s) for n, s in (("configMapRef", one.config_map_ref), ("secretRef", one.secret_ref)) if s]
        for name, source in sources:
            for why in subdomain_problems(source.name) if source.name else ():
                yield invalid(f"{where}.{name}.name", source.name, why)
        if not sources:
            yield invalid(where, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(sources) > 1:
            yield invalid(where, "", "may not have more than one field specified at a time")


def _mounts(
    given: Sequence[VolumeMount], devices: Sequence[VolumeDevice], volumes: Sequence[Volume], path: str
) -> Iterator[FieldError]:
    known = {one.name for one in volumes}
    device_names, device_paths = {one.name for one in devices}, {one.device_path for one in devices}
    paths: set[str] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        if not one.name:
            yield required(f"{where}.name")
        if one.name not in known:
            yield not_found(f"{where}.name", one.name)
        if not one.mount_path:
            yield required(f"{where}.mountPath")
        if one.mount_path in paths:
            yield invalid(f"{where}.mountPath", one.mount_path, "must be unique")
        paths.add(one.mount_path)
        if one.name in device_names:
            yield invalid(f"{where}.name", one.name, "must not already exist in volumeDevices")
        if one.mount_path in device_paths:
            yield invalid(f"{where}.mountPath", one.mount_path, "must not already exist as a path in volumeDevices")
        if one.sub_path:
            yield from relative_path(one.sub_path, f"{where}.subPath")
        if one.sub_path_expr:
            if one.sub_path:
                why = "subPathExpr and subPath are mutually exclusive"
                yield invalid(f"{where}.subPathExpr", one.sub_path_expr, why)
            yield from relative_path(one.sub_path_expr, f"{where}.subPathExpr")
        yield from _mount_options(one, where)


def _mount_options(mount: VolumeMount, path: str) -> Iterator[FieldError]:
    if mount.mount_propagation:
        allowed = ("Bidirectional", "HostToContainer", "None")
        yield from one_of(f"{path}.mountPropagation", mount.mount_propagation, allowed)
    if mount.recursive_read_only:
        where = f"{path}.recursiveReadOnly"
        yield from one_of(where, mount.recursive_read_only, ("Disabled", "Enabled", "IfPossible"))
        if mount.recursive_read_only != "Disabled" and not mount.read_only:
            yield forbidden(where, "may only be specified when readOnly is true")
        if mount.recursive_read_only != "Disabled" and mount.mount_propagation not in ("", "None"):
            yield forbidden(where, "may only be specified when mountPropagation is None or not specified")


def _devices(
    given: Sequence[VolumeDevice], mounts: Sequence[VolumeMount], volumes: Sequence[Volume], path: str
) -> Iterator[FieldError]:
    sources = {one.name: one for one in volumes}
    mounted, mount_paths = {one.name for one in mounts}, {one.mount_path for one in mounts}
    names: set[str] = set()
    paths: set[str] = set()
    for index, one in enumerate(given):
        where = at(path, index)
        if not one.name:
            yield required(f"{where}.name")
        if one.name in names:
            yield invalid(f"{where}.name", one.name, "must be unique")
        names.add(one.name)
        volume = sources.get(one.name)
        if volume is None:
            yield not_found(f"{where}.name", one.name)
        elif not (volume.persistent_volume_claim or volume.ephemeral):
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{where}.name", one.name, why)
        if not one.device_path:
            yield required(f"{where}.devicePath")
        if one.device_path in paths:
            yield invalid(f"{where}.devicePath", one.device_path, "must be unique")
        if ".." in one.device_path.split("/"):
            yield invalid(f"{where}.devicePath", one.device_path, "can not contain backsteps ('..')")
        paths.add(one.device_path)
        if one.name in mounted:
            yield invalid(f"{where}.name", one.name, "must not already exist in volumeMounts")
        if one.device_path in mount_paths:
            yield invalid(
                f"{where}.devicePath", one.device_path, "must not already exist as a path in volumeMounts"
            )


def common(one: AnyContainer, spec: PodSpec, path: str) -> Iterator[FieldError]:
    """What holds for containers of every sort."""
    if not one.name:
        yield required(f"{path}.name")
    else:
        for why in label_problems(one.name):
            yield invalid(f"{path}.name", one.name, why)
    if not one.image:
        yield required(f"{path}.image")
    elif one.image != one.image.strip():
        yield invalid(f"{path}.image", one.image, "must not have leading or trailing whitespace")
    policies = ("FallbackToLogsOnError", "File")
    yield from one_of(f"{path}.terminationMessagePolicy", one.termination_message_policy, policies)
    yield from ports(one.ports, f"{path}.ports")
    yield from env(one.env, f"{path}.env")
    yield from _env_from(one.env_from, f"{path}.envFrom")
    yield from _mounts(one.volume_mounts, one.volume_devices, spec.volumes, f"{path}.volumeMounts")
    yield from _devices(one.volume_devices, one.volume_mounts, spec.volumes, f"{path}.volumeDevices")
    yield from one_of(f"{path}.imagePullPolicy", one.image_pull_policy, ("Always", "IfNotPresent", "Never"))
    yield from requirements(one.resources, f"{path}.resources")
    context = one.security_context
    for index, mount in enumerate(one.volume_mounts):
        if mount.mount_propagation == "Bidirectional" and not (context and context.privileged):
            why = "Bidirectional mount propagation is available only to privileged containers"
            yield forbidden(f"{at(f'{path}.volumeMounts', index)}.mountPropagation", why)
    claims = {claim.name for claim in spec.resource_claims}
    yield from _claims(one.resources.claims if one.resources else (), claims, f"{path}.resources.claims")
    yield from _resizing(one.resize_policy, spec, f"{path}.resizePolicy")
    yield from container_security(context, f"{path}.securityContext", host_users=spec.host_users)


def _claims(given: Sequence[ResourceClaim], known: Collection[str], path: str) -> Iterator[FieldError]:
    """The pod's resource claims that a container uses."""
    seen: set[str] = set()
    for index, claim in enumerate(given):
        where = at(path, index)
        if not claim.name:
            yield required(where)
            continue
        for why in label_problems(claim.request) if claim.request else ():
            yield invalid(f"{where}.request", claim.request, why)
        shown = f"{claim.name}/{claim.request}" if claim.request else claim.name
        if taken := next((one for one in (claim.name, shown) if one in seen), ""):
            yield duplicate(where, taken)
        seen.add(shown)
        if claim.name not in known:
            missing = not_found(where, claim.name)
            why = f": {', '.join(sorted(known))}" if known else " which is empty"
            detail = f"{missing.detail}: must be one of the names in pod.spec.resourceClaims{why}"
            yield FieldError(missing.path, missing.reason, detail)


def _resizing(given: Sequence[ContainerResizePolicy], spec: PodSpec, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, one in enumerate(given):
        if one.resource_name in seen:
            yield duplicate(at(path, index), one.resource_name)
        seen.add(one.resource_name)
        yield from one_of(path, one.resource_name, ("cpu", "memory"))
        yield from one_of(path, one.restart_policy, ("NotRequired", "RestartContainer"))
        if spec.restart_policy == "Never" and one.restart_policy != "NotRequired":
            yield invalid(path, one.restart_policy, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def _watched(one: Container, spec: PodSpec, path: str) -> Iterator[FieldError]:
    yield from lifecycle(one.lifecycle, f"{path}.lifecycle", spec.termination_grace_period_seconds)
    yield from probe(one.liveness_probe, f"{path}.livenessProbe")
    yield from probe(one.readiness_probe, f"{path}.readinessProbe", ready=True)
    yield from probe(one.startup_probe, f"{path}.startupProbe")


def containers(spec: PodSpec, path: str) -> Iterator[FieldError]:
    if not spec.containers:
        yield required(path)
        return
    names: set[str] = set()
    held: set[str] = set()
    for index, one in enumerate(spec.containers):
        where = at(path, index)
        yield from common(one, spec, where)
        if one.name in names:
            yield duplicate(f"{where}.name", one.name)
        names.add(one.name)
        yield from _watched(one, spec, where)
        yield from _restart(one, where)
        for number, port in enumerate(one.ports):
            if spec.host_network and port.host_port and port.host_port != port.container_port:
                inside = f"{at(f'{where}.ports', number)}.hostPort"
                yield invalid(inside, port.host_port, "must match `containerPort` when `hostNetwork` is true")
            if port.host_port:
                taken = f"{port.protocol}/{port.host_ip}/{port.host_port}"
                if taken in held:
                    yield duplicate(f"{at(f'{where}.ports', number)}.hostPort", taken)
                held.add(taken)


def _restart(one: Container, path: str) -> Iterator[FieldError]:
    if one.restart_policy:
        yield from one_of(f"{path}.restartPolicy", one.restart_policy, ("Always", "Never", "OnFailure"))
    elif one.restart_policy_rules:
        yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    for index, rule in enumerate(one.restart_policy_rules):
        where = at(f"{path}.restartPolicyRules", index)
        yield from one_of(f"{where}.action", rule.action, ("Restart", "RestartAllContainers"))
        if rule.exit_codes is None:
            yield required(f"{where}.exitCodes", "must be specified")
        else:
            yield from one_of(f"{where}.exitCodes.operator", rule.exit_codes.operator, ("In", "NotIn"))


def init_containers(spec: PodSpec, path: str) -> Iterator[FieldError]:
    names = {one.name for one in spec.containers}
    for index, one in enumerate(spec.init_containers):
        where = at(path, index)
        yield from common(one, spec, where)
        yield from _restart(one, where)
        if one.name and one.name in names:
            yield duplicate(f"{where}.name", one.name)
        names.add(one.name)
        if one.restart_policy == "Always":
            yield from _watched(one, spec, where)
            continue
        for field, given in (
            ("lifecycle", one.lifecycle),
            ("livenessProbe", one.liveness_probe),
            ("readinessProbe", one.readiness_probe),
            ("startupProbe", one.startup_probe),
        ):
            if given is not None:
                yield forbidden(
                    f"{where}.{field}", "may not be set for init containers without restartPolicy=Always"
                )


def ephemeral_containers(spec: PodSpec, path: str) -> Iterator[FieldError]:
    own = {one.name for one in (*spec.containers, *spec.init_containers)}
    names = set(own)
    for index, one in enumerate(spec.ephemeral_containers):
        where = at(path, index)
        yield from common(one, spec, where)
        if one.name in names:
            yield duplicate(f"{where}.name", one.name)
        names.add(one.name)
        if one.target_container_name and one.target_container_name not in own:
            yield not_found(f"{where}.targetContainerName", one.target_container_name)
        for field, given in (
            ("ports", one.ports),
            ("livenessProbe", one.liveness_probe),
            ("readinessProbe", one.readiness_probe),
            ("startupProbe", one.startup_probe),
            ("lifecycle", one.lifecycle),
            ("resources", one.resources and (one.resources.limits or one.resources.requests)),
        ):
            if given:
                yield forbidden(f"{where}.{field}", "cannot be set for an Ephemeral Container")
        for number, mount in enumerate(one.volume_mounts):
            for field, sub in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
                if sub:
                    inside = f"{at(f'{where}.volumeMounts', number)}.{field}"
                    yield forbidden(inside, "cannot be set for an Ephemeral Container")
