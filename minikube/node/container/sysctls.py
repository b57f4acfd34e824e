"""Which sysctls a pod may set without the node's leave (pkg/kubelet/sysctl): those that touch only the pod."""

from __future__ import annotations

from minikube.api.core_v1 import Pod

SAFE = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_IPC = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")


def forbidden(pod: Pod) -> str:
    """Why the pod's sysctls are not allowed here, or ""."""
    context = pod.spec.security_context
    for each in context.sysctls if context is not None else ():
        name = each.name.replace("/", ".")
        if name not in SAFE:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if pod.spec.host_network and name.startswith("net."):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if pod.spec.host_ipc and name.startswith(_IPC):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
    return ""
