"""Which sysctls a pod may set without the node's leave (pkg/kubelet/sysctl): those that touch only the pod."""

from __future__ import annotations

from collections.abc import Iterable

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


def problem(pattern: str) -> str:
    """Why a node cannot allow this; "" if it can."""
    name = pattern.removesuffix("*").replace("/", ".")
    if name.startswith(("net.", *_IPC)):
        return ""
    return f"the sysctl {pattern!r} is not known to be namespaced"


def forbidden(pod: Pod, allowed: Iterable[str] = ()) -> str:
    """Why the pod's sysctls are not allowed here, or "". `allowed`: more names, or beginnings of names with a *."""
    context = pod.spec.security_context
    for each in context.sysctls if context is not None else ():
        name = each.name.replace("/", ".")
        if name not in SAFE and not any(_covers(pattern.replace("/", "."), name) for pattern in allowed):
            return f'forbidden sysctl: "{name}" not allowlisted'
        if pod.spec.host_network and name.startswith("net."):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
        if pod.spec.host_ipc and name.startswith(_IPC):
            return f'forbidden sysctl: "{name}" not allowed with host ipc enabled'
    return ""


def _covers(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
