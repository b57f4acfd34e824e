"""The resolv.conf of a pod: dnsPolicy and dnsConfig over the node's own (pkg/kubelet/network/dns)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from minikube.api.core_v1 import Pod
from minikube.settings import Settings

MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048
_WORDS = {"nameserver": "servers", "search": "searches", "options": "options"}


class Resolver(msgspec.Struct, frozen=True):
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def own(path: Path = Path("/etc/resolv.conf")) -> Mapping[str, Sequence[str]]:
    """servers, searches and options of the node; nothing when there is no such file."""
    found: dict[str, list[str]] = {"servers": [], "searches": [], "options": []}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        parts = line.split()
        if parts and parts[0] in _WORDS:
            if parts[0] == "search":
                found["searches"] = []
            found[_WORDS[parts[0]]] += parts[1:]
    return found


def resolver_of(pod: Pod, settings: Settings, host: Mapping[str, Sequence[str]]) -> Resolver:
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
    return Resolver(tuple(dict.fromkeys(servers))[:MAX_SERVERS], _fitting(dict.fromkeys(searches)), tuple(options))


def _fitting(searches: Mapping[str, None]) -> tuple[str, ...]:
    """What a resolver takes: the rest is left out."""
    kept, size = [], 0
    for each in list(searches)[:MAX_SEARCHES]:
        size += len(each) + 1
        if size > MAX_SEARCH_CHARACTERS + 1:
            break
        kept.append(each)
    return tuple(kept)
