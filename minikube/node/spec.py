"""From a pod to what the runtime is asked for: sandbox and container specs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minikube.api.core_v1 import Container as Wanted
from minikube.api.core_v1 import Pod
from minikube.api.meta import Quantity
from minikube.api.quantity import milli_value, value
from minikube.node.cgroups import pod_parent
from minikube.node.decide import is_sidecar
from minikube.node.runtime.base import (
    ContainerSpec,
    Mount,
    PortMapping,
    Resources,
    SandboxSpec,
    SecurityContext,
)
from minikube.node.runtime.simulated import INIT_LABEL
from minikube.node.status import qos_class
from minikube.settings import Settings

CPU_PERIOD = 100_000


class ConfigProblem(Exception):
    """Reason CreateContainerConfigError: something the container refers to is missing or wrong."""


def log_directory(pod: Pod, settings: Settings) -> str:
    meta = pod.metadata
    return f"{settings.pod_logs_dir}/{meta.namespace}_{meta.name}_{meta.uid}"


def labels_of(pod: Pod) -> dict[str, str]:
    meta = pod.metadata
    return {
        "io.kubernetes.pod.name": meta.name,
        "io.kubernetes.pod.namespace": meta.namespace,
        "io.kubernetes.pod.uid": meta.uid,
    }


def hostname_of(pod: Pod) -> str:
    return (pod.spec.hostname_override or pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def sandbox_spec(pod: Pod, attempt: int, settings: Settings, host_dns: Mapping[str, Sequence[str]]) -> SandboxSpec:
    """`host_dns` has servers, searches and options of the node's own resolv.conf."""
    host_network = bool(pod.spec.host_network)
    servers, searches, options = dns_of(pod, settings, host_dns)
    context = pod.spec.security_context
    privileged = any(
        each.security_context is not None and each.security_context.privileged
        for each in (*pod.spec.init_containers, *pod.spec.containers)
    )
    return SandboxSpec(
        pod_uid=pod.metadata.uid,
        name=pod.metadata.name,
        namespace=pod.metadata.namespace,
        attempt=attempt,
        hostname="" if host_network else hostname_of(pod),
        log_directory=log_directory(pod, settings),
        dns_servers=servers,
        dns_searches=searches,
        dns_options=options,
        labels={**pod.metadata.labels, **labels_of(pod)},
        annotations=dict(pod.metadata.annotations),
        cgroup_parent=pod_parent(settings.cgroup_root, pod),
        sysctls={each.name: each.value for each in context.sysctls} if context else {},
        security=SecurityContext(
            run_as_user=context.run_as_user if context else None,
            run_as_group=context.run_as_group if context else None,
            supplemental_groups=context.supplemental_groups if context else (),
            privileged=privileged,
            host_network=host_network,
            host_pid=bool(pod.spec.host_pid),
            host_ipc=bool(pod.spec.host_ipc),
            share_process_namespace=bool(pod.spec.share_process_namespace),
            seccomp="runtime/default",
        ),
    )


def dns_of(
    pod: Pod, settings: Settings, host: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """servers, searches and options for this pod's dnsPolicy and dnsConfig."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.host_network:
        policy = "Default"
    servers, searches, options = (list(host.get(name, ())) for name in ("servers", "searches", "options"))
    if policy == "None":
        servers, searches, options = [], [], []
    elif policy in ("ClusterFirst", "ClusterFirstWithHostNet"):
        domain = settings.cluster_domain
        servers = [settings.cluster_dns]
        searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain, *searches]
        options = ["ndots:5"]
    if (more := pod.spec.dns_config) is not None:
        servers += more.nameservers
        searches += more.searches
        added = {each.name: f"{each.name}:{each.value}" if each.value else each.name for each in more.options}
        options = [each for each in options if each.split(":")[0] not in added] + list(added.values())
    return tuple(dict.fromkeys(servers)), tuple(dict.fromkeys(searches)), tuple(options)


def container_spec(
    pod: Pod,
    wanted: Wanted,
    attempt: int,
    *,
    image: str,
    image_user: str,
    env: Sequence[tuple[str, str]],
    mounts: Sequence[Mount],
    memory_capacity: int,
    log_seccomp_root: str = "/var/lib/kubelet/seccomp",
) -> ContainerSpec:
    """Raises ConfigProblem when runAsNonRoot does not hold."""
    known = dict(env)
    labels = {**labels_of(pod), "io.kubernetes.container.name": wanted.name}
    if wanted in pod.spec.init_containers and not is_sidecar(wanted):
        labels[INIT_LABEL] = "true"
    return ContainerSpec(
        name=wanted.name,
        attempt=attempt,
        image=image,
        user_image=wanted.image,
        command=tuple(expand(each, known) for each in wanted.command),
        args=tuple(expand(each, known) for each in wanted.args),
        working_dir=wanted.working_dir,
        env=tuple(env),
        mounts=tuple(mounts),
        log_path=f"{wanted.name}/{attempt}.log",
        stdin=bool(wanted.stdin),
        stdin_once=bool(wanted.stdin_once),
        tty=bool(wanted.tty),
        labels=labels,
        annotations={
            "io.kubernetes.container.restartCount": str(attempt),
            "io.kubernetes.container.terminationMessagePath": wanted.termination_message_path,
        },
        resources=resources_of(pod, wanted, memory_capacity),
        security=security_of(pod, wanted, image_user, log_seccomp_root),
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


def resources_of(pod: Pod, wanted: Wanted, memory_capacity: int) -> Resources:
    """cgroup values as the kubelet converts them: shares from the request, quota from the limit."""
    limits: Mapping[str, Quantity] = wanted.resources.limits if wanted.resources else {}
    requests: Mapping[str, Quantity] = wanted.resources.requests if wanted.resources else {}
    request = milli_value(requests.get("cpu", limits.get("cpu")))
    limit = milli_value(limits.get("cpu"))
    memory = value(limits.get("memory"))
    qos = qos_class(pod)
    oom = 1000
    if qos == "Guaranteed":
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
    )


def security_of(pod: Pod, wanted: Wanted, image_user: str, seccomp_root: str) -> SecurityContext:
    """The container's settings win over the pod's. Raises ConfigProblem."""
    whole, own = pod.spec.security_context, wanted.security_context
    user = own.run_as_user if own and own.run_as_user is not None else whole.run_as_user if whole else None
    group = own.run_as_group if own and own.run_as_group is not None else whole.run_as_group if whole else None
    non_root = (
        own.run_as_non_root if own and own.run_as_non_root is not None else whole.run_as_non_root if whole else None
    )
    if non_root:
        if user == 0:
            raise ConfigProblem("container's runAsUser breaks non-root policy")
        if user is None and image_user in ("", "0", "root"):
            raise ConfigProblem("container has runAsNonRoot and image will run as root")
        if user is None and not image_user.isdigit():
            raise ConfigProblem(
                f"container has runAsNonRoot and image has non-numeric user ({image_user}), "
                "cannot verify user is non-root"
            )
    profile = (own.seccomp_profile if own else None) or (whole.seccomp_profile if whole else None)
    seccomp = ""
    if profile is not None and profile.type == "RuntimeDefault":
        seccomp = "runtime/default"
    elif profile is not None and profile.type == "Localhost":
        seccomp = f"localhost/{seccomp_root}/{profile.localhost_profile}"
    groups = list(whole.supplemental_groups) if whole else []
    if whole and whole.fs_group is not None:
        groups.append(whole.fs_group)
    capabilities = own.capabilities if own else None
    return SecurityContext(
        run_as_user=user,
        run_as_group=group,
        supplemental_groups=tuple(dict.fromkeys(groups)),
        supplemental_groups_policy=whole.supplemental_groups_policy if whole else "",
        privileged=bool(own and own.privileged),
        read_only_root_filesystem=bool(own and own.read_only_root_filesystem),
        no_new_privileges=bool(own and own.allow_privilege_escalation is False),
        add_capabilities=capabilities.add if capabilities else (),
        drop_capabilities=capabilities.drop if capabilities else (),
        seccomp=seccomp,
        masked_paths=not (own and own.proc_mount == "Unmasked"),
        host_network=bool(pod.spec.host_network),
        host_pid=bool(pod.spec.host_pid),
        host_ipc=bool(pod.spec.host_ipc),
        share_process_namespace=bool(pod.spec.share_process_namespace),
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
