"""The environment of a container: services, envFrom, env with valueFrom and $(NAME). Pure.

Order and rules of the kubelet's makeEnvironmentVariables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import EnvVar, FileKeySelector, Pod, ResourceFieldSelector, Service
from minikube.api.quantity import parse
from minikube.node.container.env_files import Files
from minikube.node.container.spec import ConfigProblem, expand

Data = Mapping[str, Mapping[str, str] | None]


class Facts(msgspec.Struct, frozen=True):
    node_name: str
    host_ips: tuple[str, ...]
    pod_ips: tuple[str, ...]
    allocatable: Mapping[str, str] = {}


def config_maps(wanted: Wanted) -> list[str]:
    """Names of the ConfigMaps that the environment needs."""
    found = [each.config_map_ref.name for each in wanted.env_from if each.config_map_ref is not None]
    for each in wanted.env:
        if each.value_from is not None and each.value_from.config_map_key_ref is not None:
            found.append(each.value_from.config_map_key_ref.name)
    return list(dict.fromkeys(found))


def secrets(wanted: Wanted) -> list[str]:
    found = [each.secret_ref.name for each in wanted.env_from if each.secret_ref is not None]
    for each in wanted.env:
        if each.value_from is not None and each.value_from.secret_key_ref is not None:
            found.append(each.value_from.secret_key_ref.name)
    return list(dict.fromkeys(found))


class Sources(msgspec.Struct, frozen=True):
    """What the environment of one container is made of, read beforehand."""

    config_maps: Data = {}
    secrets: Data = {}
    files: Files = {}


def resolve(
    pod: Pod, wanted: Wanted, services: Iterable[Service], sources: Sources, facts: Facts
) -> tuple[tuple[str, str], ...]:
    """Raises ConfigProblem when something that is not optional is missing."""
    linked = service_variables(pod, services)
    found: dict[str, str] = {}
    for source in wanted.env_from:
        reference, tables, what = (
            (source.config_map_ref, sources.config_maps, "configmap")
            if source.config_map_ref is not None
            else (source.secret_ref, sources.secrets, "secret")
        )
        if reference is None:
            continue
        table = tables.get(reference.name)
        if table is None:
            if reference.optional:
                continue
            raise ConfigProblem(f'{what} "{reference.name}" not found')
        found.update({source.prefix + key: value for key, value in table.items()})
    for each in wanted.env:
        value = _value(pod, wanted, each, sources, facts, {**linked, **found})
        if value is not None:
            found[each.name] = value
    return tuple({**linked, **found}.items())


def _value(
    pod: Pod, wanted: Wanted, each: EnvVar, sources: Sources, facts: Facts, known: Mapping[str, str]
) -> str | None:
    """None: an optional source is missing, and so is the variable."""
    source = each.value_from
    if source is None:
        return expand(each.value, known)
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, facts)
    if source.resource_field_ref is not None:
        return resource_value(pod, wanted, source.resource_field_ref, facts)
    if source.config_map_key_ref is not None:
        map_key = source.config_map_key_ref
        return _keyed("configmap", map_key.name, map_key.key, bool(map_key.optional), sources.config_maps, pod)
    if source.secret_key_ref is not None:
        key = source.secret_key_ref
        return _keyed("secret", key.name, key.key, bool(key.optional), sources.secrets, pod)
    if source.file_key_ref is not None:
        return _from_file(source.file_key_ref, sources.files)
    return ""


def _from_file(wanted: FileKeySelector, files: Files) -> str | None:
    table = files.get((wanted.volume_name, wanted.path))
    if table is not None and wanted.key in table:
        return table[wanted.key]
    if wanted.optional:
        return None
    if table is None:
        raise ConfigProblem(f"file not found: {wanted.path}")
    raise ConfigProblem(f"environment variable key {wanted.key} not found in file {wanted.path}")


def _keyed(what: str, name: str, key: str, optional: bool, tables: Data, pod: Pod) -> str | None:
    table = tables.get(name)
    if table is None:
        if optional:
            return None
        raise ConfigProblem(f'{what} "{name}" not found')
    if key not in table:
        if optional:
            return None
        kind = "ConfigMap" if what == "configmap" else "Secret"
        raise ConfigProblem(f"couldn't find key {key} in {kind} {pod.metadata.namespace}/{name}")
    return table[key]


def field_value(pod: Pod, path: str, facts: Facts) -> str:
    """A downward API field. Raises ConfigProblem."""
    meta, spec = pod.metadata, pod.spec
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": spec.service_account_name,
        "status.hostIP": facts.host_ips[0] if facts.host_ips else "",
        "status.hostIPs": ",".join(facts.host_ips),
        "status.podIP": facts.pod_ips[0] if facts.pod_ips else "",
        "status.podIPs": ",".join(facts.pod_ips),
        "metadata.labels": _lines(meta.labels),
        "metadata.annotations": _lines(meta.annotations),
    }
    if path in simple:
        return simple[path]
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        table = meta.labels if match.group(1) == "labels" else meta.annotations
        return table.get(match.group(2), "")
    raise ConfigProblem(f"unsupported fieldPath: {path}")


def _lines(table: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={_quoted(table[key])}" for key in sorted(table))


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def resource_value(pod: Pod, wanted: Wanted, selector: ResourceFieldSelector, facts: Facts) -> str:
    """limits.* or requests.* of a container, divided and rounded up; an unset limit is what the node has."""
    which, _, name = selector.resource.partition(".")
    container = wanted
    if selector.container_name:
        for each in (*pod.spec.init_containers, *pod.spec.containers):
            if each.name == selector.container_name:
                container = each
    table = {}
    if container.resources is not None:
        table = dict(container.resources.limits if which == "limits" else container.resources.requests)
    amount = parse(table.get(name))
    if not amount and which == "limits":
        amount = parse(facts.allocatable.get(name))
    divisor = parse(selector.divisor) or 1
    return str(math.ceil(amount / divisor))


def service_variables(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """NAME_SERVICE_HOST and the docker-link variables, also of the API server."""
    found: dict[str, str] = {}
    namespace = pod.metadata.namespace
    for service in sorted(services, key=lambda each: (each.metadata.namespace, each.metadata.name)):
        meta = service.metadata
        api = meta.namespace == "default" and meta.name == "kubernetes"
        mine = meta.namespace == namespace and pod.spec.enable_service_links is not False
        ip = service.spec.cluster_ip
        if not (api or mine) or ip in ("", "None") or not service.spec.ports:
            continue
        name = meta.name.upper().replace("-", "_")
        found[f"{name}_SERVICE_HOST"] = ip
        found[f"{name}_SERVICE_PORT"] = str(service.spec.ports[0].port)
        for index, port in enumerate(service.spec.ports):
            protocol = (port.protocol or "TCP").upper()
            if port.name:
                found[f"{name}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
            url = f"{protocol.lower()}://{ip}:{port.port}"
            if index == 0:
                found[f"{name}_PORT"] = url
            link = f"{name}_PORT_{port.port}_{protocol}"
            found[link] = url
            found[f"{link}_PROTO"] = protocol.lower()
            found[f"{link}_PORT"] = str(port.port)
            found[f"{link}_ADDR"] = ip
    return found
