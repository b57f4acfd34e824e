"""From a pod to what the runtime is asked for: sandbox and container specs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod, ResourceRequirements
from minikube.api.meta import Quantity
from minikube.api.quantity import milli_value, value
from minikube.node.container.resolver import resolver_of
from minikube.node.container.security import container_security, sandbox_security
from minikube.node.host.cgroups import pod_parent
from minikube.node.host.huge_pages import container_limits
from minikube.node.pod.pods import HASH_ANNOTATION, hash_of, is_init, is_sidecar
from minikube.node.pod.problems import ConfigProblem as ConfigProblem
from minikube.node.runtime.base import (
    POD_UID_LABEL,
    ContainerSpec,
    Device,
    Image,
    Mount,
    PortMapping,
    Resources,
    SandboxSpec,
)
from minikube.node.runtime.simulated import INIT_LABEL
from minikube.resources.qos import qos_class
from minikube.settings import Settings

FQDN_LIMIT = 64
CPU_PERIOD = 100_000
NODE_CRITICAL = 2_000_001_000
"""Pods of this priority (system-node-critical) are the last that the kernel kills."""


def log_directory(pod: Pod, settings: Settings) -> str:
    meta = pod.metadata
    return f"{settings.pod_logs_dir}/{meta.namespace}_{meta.name}_{meta.uid}"


def labels_of(pod: Pod) -> dict[str, str]:
    meta = pod.metadata
    return {
        "io.kubernetes.pod.name": meta.name,
        "io.kubernetes.pod.namespace": meta.namespace,
        POD_UID_LABEL: meta.uid,
    }


def hostname_of(pod: Pod) -> str:
    """The first 63 characters of what the pod is called (pkg/kubelet/util GeneratePodHostNameAndDomain)."""
    return (pod.spec.hostname_override or pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def domain_of(pod: Pod, settings: Settings) -> str:
    """subdomain.namespace.svc.domain, or "" for a pod without a subdomain."""
    if not pod.spec.subdomain or pod.spec.hostname_override:
        return ""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{settings.cluster_domain}"


def node_name_of(pod: Pod, settings: Settings) -> str:
    """What `uname -n` says in the pod: with setHostnameAsFQDN all of it. Raises ConfigProblem."""
    name, domain = hostname_of(pod), domain_of(pod, settings)
    if not (pod.spec.set_hostname_as_fqdn and domain):
        return name
    full = f"{name}.{domain}"
    if len(full) > FQDN_LIMIT:
        raise ConfigProblem(
            f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({FQDN_LIMIT} characters is the max, {len(full)} characters requested)",
            "FailedCreatePodSandBox",
        )
    return full


def sandbox_spec(
    pod: Pod,
    attempt: int,
    settings: Settings,
    host_dns: Mapping[str, Sequence[str]],
    handler: str = "",
    first_user: int = 0,
) -> SandboxSpec:
    """`host_dns` has servers, searches and options of the node's own resolv.conf; `first_user` is where the range
    of a pod with a user namespace begins. Raises ConfigProblem.
    """
    resolver = resolver_of(pod, settings, host_dns)
    context = pod.spec.security_context
    return SandboxSpec(
        pod_uid=pod.metadata.uid,
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        attempt=attempt,
        hostname="" if pod.spec.host_network else node_name_of(pod, settings),
        log_directory=log_directory(pod, settings),
        dns_servers=resolver.servers,
        dns_searches=resolver.searches,
        dns_options=resolver.options,
        labels={**pod.metadata.labels, **labels_of(pod)},
        annotations=dict(pod.metadata.annotations),
        cgroup_parent=pod_parent(settings.cgroup_root, pod),
        sysctls={each.name.replace("/", "."): each.value for each in context.sysctls} if context else {},
        security=sandbox_security(pod, first_user),
        runtime_handler=handler,
    )


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine has for every container."""

    memory: int
    """In bytes."""
    page_sizes: tuple[str, ...] = ()
    """Of huge pages."""
    seccomp_root: str
    """The directory of localhost profiles."""
    confine: bool = False
    """Containers that ask for no seccomp profile get the runtime's."""
    unified: Mapping[str, str] = {}
    """More settings of their control groups, of version 2."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was made ready for one run of a container."""

    image: Image
    env: tuple[tuple[str, str], ...]
    mounts: tuple[Mount, ...]
    devices: tuple[Device, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    annotations: Mapping[str, str] = {}
    resources: ResourceRequirements | None = None
    """What the node has set aside for it."""
    target: str = ""
    """The container whose processes it sees."""
    first_user: int = 0
    """As its sandbox has it."""


def container_spec(pod: Pod, wanted: Wanted, attempt: int, host: Host, given: Given) -> ContainerSpec:
    """Raises ConfigProblem when runAsNonRoot does not hold."""
    known = dict(given.env)
    labels = {**labels_of(pod), "io.kubernetes.container.name": wanted.name}
    if is_init(pod, wanted.name) and not is_sidecar(pod, wanted.name):
        labels[INIT_LABEL] = "true"
    return ContainerSpec(
        name=wanted.name,
        attempt=attempt,
        image=given.image.id,
        user_image=wanted.image,
        command=tuple(expand(each, known) for each in wanted.command),
        args=tuple(expand(each, known) for each in wanted.args),
        working_dir=wanted.working_dir,
        env=given.env,
        mounts=given.mounts,
        devices=given.devices,
        cdi_devices=given.cdi_devices,
        log_path=f"{wanted.name}/{attempt}.log",
        stdin=bool(wanted.stdin),
        stdin_once=bool(wanted.stdin_once),
        tty=bool(wanted.tty),
        labels=labels,
        annotations={
            **given.annotations,
            HASH_ANNOTATION: hash_of(wanted),
            "io.kubernetes.container.restartCount": str(attempt),
            "io.kubernetes.container.terminationMessagePath": wanted.termination_message_path,
        },
        resources=replace(resources_of(pod, given.resources, host.memory, host.page_sizes), unified=host.unified),
        security=container_security(
            pod,
            wanted,
            given.image.user,
            host.seccomp_root,
            given.target,
            confine=host.confine,
            first_user=given.first_user,
        ),
        stop_signal=wanted.lifecycle.stop_signal if wanted.lifecycle is not None else "",
    )


def expand(text: str, known: Mapping[str, str]) -> str:
    """$(NAME) for known names; $$ is a dollar; what is not known stays as it is."""
    out, at = [], 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out.append(text[at])
            at += 1
        elif text[at + 1] == "$":
            out.append("$")
            at += 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            name = text[at + 2 : end]
            out.append(known.get(name, text[at : end + 1]))
            at = end + 1
        else:
            out.append(text[at : at + 2])
            at += 2
    return "".join(out)


def resources_of(
    pod: Pod, given: ResourceRequirements | None, memory_capacity: int, page_sizes: Iterable[str] = ()
) -> Resources:
    """cgroup values as the kubelet converts them: shares from the request, quota from the limit; `page_sizes` are
    those of huge pages that the machine has."""
    limits: Mapping[str, Quantity] = given.limits if given else {}
    requests: Mapping[str, Quantity] = given.requests if given else {}
    request = milli_value(requests.get("cpu", limits.get("cpu")))
    limit = milli_value(limits.get("cpu"))
    memory = value(limits.get("memory"))
    qos = qos_class(pod.spec)
    oom = 1000
    if qos == "Guaranteed" or (pod.spec.priority or 0) >= NODE_CRITICAL:
        oom = -997
    elif qos == "Burstable" and memory_capacity:
        oom = 1000 - 1000 * value(requests.get("memory", limits.get("memory"))) // memory_capacity
        oom = min(999, max(3, oom))
    return Resources(
        cpu_shares=max(2, request * 1024 // 1000),
        cpu_quota=max(1000, limit * CPU_PERIOD // 1000) if limit else 0,
        cpu_period=CPU_PERIOD if limit else 0,
        memory_limit=memory,
        oom_score_adj=oom,
        hugepages=container_limits(pod, limits, page_sizes),
    )


def host_ports(pod: Pod) -> tuple[PortMapping, ...]:
    if pod.spec.host_network:
        return ()
    return tuple(
        PortMapping(port.host_ip, port.host_port, port.container_port, port.protocol or "TCP")
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for port in container.ports
        if port.host_port
    )
