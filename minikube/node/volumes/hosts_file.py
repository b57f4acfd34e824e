"""A pod's /etc/hosts. Rules: pkg/kubelet nodeHostsFileContent, managedHostsFileContent."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from minikube.api.core_v1 import Pod
from minikube.node.container.spec import hostname_of


def etc_hosts(pod: Pod, ips: Sequence[str], domain: str) -> str:
    """As the kubelet writes it; with host network the node's own file comes first. `domain` is that of a pod with a
    subdomain, else "".
    """
    lines = ["# Kubernetes-managed hosts file."]
    if pod.spec.host_network:
        with contextlib.suppress(OSError):
            lines = ["# Kubernetes-managed hosts file (host network).", Path("/etc/hosts").read_text().rstrip()]
    else:
        lines += [
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        name = hostname_of(pod)
        lines += [f"{ip}\t{name}.{domain}\t{name}" if domain else f"{ip}\t{name}" for ip in ips]
    if pod.spec.host_aliases:
        lines.append("\n# Entries added by HostAliases.")
        lines += ["\t".join((each.ip, *each.hostnames)) for each in pod.spec.host_aliases]
    return "\n".join(lines) + "\n"
