"""The checks of the baseline standard. Each yields what is wrong with a pod, worded as upstream, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from minikube.admission.pod_security.subject import (
    CONFINED,
    AnyContainer,
    Found,
    Subject,
    Violation,
    named,
    plural,
    pod_seccomp,
    quoted,
    setters_of,
)
from minikube.api.core_v1 import SELinuxOptions

DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
SYSCTLS: Mapping[int, tuple[str, ...]] = {
    0: (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    ),
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: (
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    ),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
"""Allowed since this minor version."""
SELINUX_TYPES: Mapping[int, tuple[str, ...]] = {
    0: ("", "container_t", "container_init_t", "container_kvm_t"),
    31: ("container_engine_t",),
}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def app_armor(subject: Subject) -> Found:
    setters, values = setters_of(
        subject,
        lambda context: context.app_armor_profile.type if context.app_armor_profile else "",
        subject.spec.security_context.app_armor_profile.type
        if subject.spec.security_context and subject.spec.security_context.app_armor_profile
        else "",
        lambda kind: kind not in ("", *CONFINED),
    )
    notes = [
        f'{key}="{value}"'
        for key, value in sorted(subject.pod.metadata.annotations.items())
        if key.startswith(APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    ]
    if notes:
        setters.append(f"{plural('annotation', notes)} {', '.join(notes)}")
    if setters:
        count = max(1, len(values) + len(notes))
        reason = "forbidden AppArmor profile" + ("s" if count > 1 else "")
        detail = f"{' and '.join(setters)} must not set AppArmor profile type to {quoted(values)}"
        yield Violation(reason, detail if values else " and ".join(setters))


def default_capabilities(subject: Subject) -> Found:
    bad: dict[str, list[str]] = {}
    for container, context in subject.containers:
        added = context.capabilities.add if context.capabilities else ()
        if extra := [name for name in added if name not in DEFAULT_CAPABILITIES]:
            bad[container.name] = extra
    if bad:
        names = sorted({name for extra in bad.values() for name in extra})
        detail = f"{named(bad)} must not include {quoted(names)} in securityContext.capabilities.add"
        yield Violation("non-default capabilities", detail)


def host_namespaces(subject: Subject) -> Found:
    spec = subject.spec
    shared = {"hostNetwork": spec.host_network, "hostPID": spec.host_pid, "hostIPC": spec.host_ipc}
    if any(shared.values()):
        yield Violation("host namespaces", ", ".join(f"{name}=true" for name, on in shared.items() if on))


def host_paths(subject: Subject) -> Found:
    names = [volume.name for volume in subject.spec.volumes if volume.host_path is not None]
    if names:
        yield Violation("hostPath volumes", f"{plural('volume', names)} {quoted(names)}")


def host_ports(subject: Subject) -> Found:
    ports = {one.name: [p.host_port for p in one.ports if p.host_port] for one, _ in subject.containers}
    bad = [name for name, found in ports.items() if found]
    if bad:
        numbers = sorted({str(port) for found in ports.values() for port in found})
        verb = "use" if len(bad) > 1 else "uses"
        yield Violation("hostPort", f"{named(bad)} {verb} {plural('hostPort', numbers)} {', '.join(numbers)}")


def host_probes(subject: Subject) -> Found:
    hosts: dict[str, list[str]] = {}
    for container, _ in subject.containers:
        if found := list(hosts_of(container)):
            hosts[container.name] = found
    if hosts:
        every = sorted({host for found in hosts.values() for host in found})
        verb = "use" if len(hosts) > 1 else "uses"
        detail = f"{named(hosts)} {verb} probe or lifecycle {plural('host', every)} {quoted(every)}"
        yield Violation("probe or lifecycle host", detail)


def privileged(subject: Subject) -> Found:
    bad = [one.name for one, context in subject.containers if context.privileged]
    if bad:
        yield Violation("privileged", f"{named(bad)} must not set securityContext.privileged=true")


def proc_mount(subject: Subject) -> Found:
    if subject.own_users:
        return
    bad = {one.name: c.proc_mount for one, c in subject.containers if c.proc_mount not in ("", "Default")}
    if bad:
        values = quoted(sorted(set(bad.values())))
        yield Violation("procMount", f"{named(bad)} must not set securityContext.procMount to {values}")


def se_linux(subject: Subject) -> Found:
    pod_level = subject.spec.security_context.se_linux_options if subject.spec.security_context else None
    allowed = since(SELINUX_TYPES, subject.minor)

    def bad(options: SELinuxOptions | None) -> bool:
        return options is not None and (options.type not in allowed or bool(options.user) or bool(options.role))

    containers = [(one.name, context.se_linux_options) for one, context in subject.containers]
    names = [name for name, options in containers if bad(options)]
    wrong = [
        options for options in (pod_level, *(options for _, options in containers)) if options and bad(options)
    ]
    if not wrong:
        return
    setters = (["pod"] if bad(pod_level) else []) + ([named(names)] if names else [])
    types = sorted({options.type for options in wrong if options.type not in allowed})
    said = [f"{plural('type', types)} {quoted(types)}"] if types else []
    said += ["user may not be set"] if any(options.user for options in wrong) else []
    said += ["role may not be set"] if any(options.role for options in wrong) else []
    detail = f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}"
    yield Violation("seLinuxOptions", detail)


def seccomp_unconfined(subject: Subject) -> Found:
    setters, values = setters_of(
        subject,
        lambda context: context.seccomp_profile.type if context.seccomp_profile else "",
        pod_seccomp(subject),
        lambda kind: kind not in ("", *CONFINED),
    )
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.seccompProfile.type to {quoted(values)}"
        yield Violation("seccompProfile", detail)


def sysctls(subject: Subject) -> Found:
    allowed = since(SYSCTLS, subject.minor)
    context = subject.spec.security_context
    names = [one.name for one in (context.sysctls if context else ()) if one.name not in allowed]
    if names:
        yield Violation("forbidden sysctls", ", ".join(names))


def windows_host_process(subject: Subject) -> Found:
    context = subject.spec.security_context
    pod_level = context.windows_options if context else None
    names = [c.name for c, own in subject.containers if own.windows_options and own.windows_options.host_process]
    setters = ["pod"] if pod_level is not None and pod_level.host_process else []
    setters += [named(names)] if names else []
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true"
        yield Violation("hostProcess", detail)


def hosts_of(container: AnyContainer) -> Iterator[str]:
    lifecycle = container.lifecycle
    handlers = (
        container.liveness_probe,
        container.readiness_probe,
        container.startup_probe,
        lifecycle.post_start if lifecycle else None,
        lifecycle.pre_stop if lifecycle else None,
    )
    for handler in handlers:
        for action in (handler.http_get, handler.tcp_socket) if handler is not None else ():
            if action is not None and action.host:
                yield action.host


def since(values: Mapping[int, tuple[str, ...]], minor: int) -> frozenset[str]:
    return frozenset(name for since, names in values.items() if since <= minor for name in names)
