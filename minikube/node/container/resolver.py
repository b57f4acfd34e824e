"""The resolv.conf of a pod: dnsPolicy and dnsConfig over the node's own (pkg/kubelet/network/dns)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from minikube.api.core_v1 import Pod
from minikube.settings import Settings

MAX_SERVERS, MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 3, 32, 2048
LONGEST_SEARCH = 253
RESOLV_CONF = Path("/etc/resolv.conf")
STUB_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved keeps the true servers, when resolv.conf names only its stub."""
TOO_MANY_SERVERS = (
    "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
)
TOO_MANY_SEARCHES = (
    "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
)
_WORDS = {"nameserver": "servers", "search": "searches", "options": "options"}


class Resolver(msgspec.Struct, frozen=True):
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What had to be left out, as its event says it."""


def own(path: Path = RESOLV_CONF, behind_stub: Path = STUB_RESOLV_CONF) -> Mapping[str, Sequence[str]]:
    """servers, searches and options of the node; nothing when there is no such file."""
    found = _read(path)
    return _read(behind_stub) if _loopback(found["servers"]) and behind_stub.exists() else found


def _loopback(servers: Sequence[str]) -> bool:
    """Servers that only processes of the host itself reach."""
    return all(each.startswith("127.") or each == "::1" for each in servers)


def _read(path: Path) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {"servers": [], "searches": [], "options": []}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        parts = line.split()
        if parts and parts[0] in _WORDS:
            if parts[0] != "nameserver":  # the last such line counts
                found[_WORDS[parts[0]]] = []
            found[_WORDS[parts[0]]] += [each.removesuffix(".") or "." for each in parts[1:]]
    return found


def resolver_of(pod: Pod, settings: Settings, host: Mapping[str, Sequence[str]]) -> Resolver:
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "ClusterFirst" and pod.spec.host_network:
        policy = "Default"
    servers, searches, options = (list(host.get(name, ())) for name in ("servers", "searches", "options"))
    if policy == "Default" and not pod.spec.host_network and servers and _loopback(servers):
        servers = [settings.cluster_dns]  # which asks them on the pod's behalf
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
    return _fitting(tuple(dict.fromkeys(servers)), tuple(dict.fromkeys(searches)), tuple(options))


def _fitting(servers: tuple[str, ...], searches: tuple[str, ...], options: tuple[str, ...]) -> Resolver:
    """What a resolver takes: the rest is left out, and told."""
    problems = []
    if len(servers) > MAX_SERVERS:
        servers = servers[:MAX_SERVERS]
        problems.append(TOO_MANY_SERVERS + " ".join(servers))
    kept = [each for each in searches[:MAX_SEARCHES] if len(each) <= LONGEST_SEARCH]
    while len(" ".join(kept)) > MAX_SEARCH_CHARACTERS:
        kept.pop()
    if len(kept) < len(searches):
        problems.append(TOO_MANY_SEARCHES + " ".join(kept))
    return Resolver(servers, tuple(kept), options, tuple(problems))
