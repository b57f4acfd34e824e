"""Pure: from service ports to nftables text, and from one state to the next by their difference.

A verdict map finds the chain of a service port; the chain picks a backend at random. Rules: KEP-3866.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from minikube.node.network.base import Backend, ServicePort
from minikube.node.network.nft import TABLE

MASQUERADE = 0x4000


class Ruleset(msgspec.Struct, frozen=True):
    """Chains by name with their rules, sets by name with their type, elements by (container, key)."""

    chains: Mapping[str, tuple[str, ...]] = {}
    sets: Mapping[str, str] = {}
    elements: Mapping[tuple[str, str], str] = {}


class Packed(msgspec.Struct, frozen=True):
    """A ruleset in an order that does not depend on how it came about."""

    chains: list[tuple[str, tuple[str, ...]]]
    sets: list[tuple[str, str]]
    elements: list[tuple[str, str, str]]


def skeleton(cluster_cidr: str) -> str:
    """The table from scratch, in one transaction."""
    key = "meta l4proto . th dport"
    return f"""
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  map services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map nodeports {{ type inet_proto . inet_service : verdict; }}
  map hostports {{ type inet_proto . inet_service : verdict; }}
  map hostports_at {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map rejects {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map nodeport_rejects {{ type inet_proto . inet_service : verdict; }}
  set hairpin {{ type ipv4_addr . ipv4_addr; }}
  chain refuse {{ meta l4proto tcp reject with tcp reset; reject with icmp type port-unreachable; }}
  chain dispatch {{
    ip daddr . {key} vmap @services
    fib daddr type local {key} vmap @nodeports
    fib daddr type local ip daddr . {key} vmap @hostports_at
    fib daddr type local {key} vmap @hostports
  }}
  chain filter_dispatch {{
    ip daddr . {key} vmap @rejects
    fib daddr type local {key} vmap @nodeport_rejects
  }}
  chain guard_loopback {{
    type filter hook prerouting priority -300; policy accept;
    ip daddr 127.0.0.0/8 iifname != "lo" drop
  }}
  chain prerouting {{ type nat hook prerouting priority -100; policy accept; jump dispatch; }}
  chain output {{ type nat hook output priority -100; policy accept; jump dispatch; }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    meta mark & {MASQUERADE:#x} != 0 meta mark set meta mark & {~MASQUERADE & 0xFFFFFFFF:#x} masquerade
    ip saddr . ip daddr @hairpin masquerade
    ip saddr {cluster_cidr} ip daddr != {cluster_cidr} ip daddr != 224.0.0.0/4 oifname != "lo" masquerade
  }}
  chain forward {{ type filter hook forward priority -1; policy accept; ct state new jump filter_dispatch; }}
  chain input {{ type filter hook input priority -1; policy accept; ct state new jump filter_dispatch; }}
  chain filter_output {{
    type filter hook output priority -1; policy accept; ct state new jump filter_dispatch;
  }}
}}
"""


def build(ports: Iterable[ServicePort], cluster_cidr: str) -> Ruleset:
    chains: dict[str, tuple[str, ...]] = {}
    sets: dict[str, str] = {}
    elements: dict[tuple[str, str], str] = {}
    for port in ports:
        _add(port, cluster_cidr, chains, sets, elements)
    return Ruleset(chains, sets, elements)


def static(address: str, protocol: str, port: int, to: str, to_port: int) -> Ruleset:
    """One fixed destination, as for the cluster DNS that the agent answers itself."""
    name = f"static_{protocol}_{port}"
    return Ruleset(
        {name: (f"meta l4proto {protocol} dnat ip to {to}:{to_port}",)},
        {},
        {("services", f"{address} . {protocol} . {port}"): f"goto {name}"},
    )


def host_port(host_ip: str, pod_ip: str, protocol: str, port: int, pod_port: int) -> Ruleset:
    """`host_ip` empty: every address of the node. From loopback the source must become the node's own."""
    everywhere = host_ip in ("", "0.0.0.0")
    name = f"host_{protocol}_{port}" + ("" if everywhere else "_" + host_ip.replace(".", "_"))
    mark = f"meta mark set meta mark | {MASQUERADE:#x}"
    rules = (
        f"ip saddr {{ {pod_ip}, 127.0.0.0/8 }} {mark}",
        f"meta l4proto {protocol} dnat ip to {pod_ip}:{pod_port}",
    )
    key = f"{protocol} . {port}"
    place = ("hostports", key) if everywhere else ("hostports_at", f"{host_ip} . {key}")
    return Ruleset({name: rules}, {}, {place: f"goto {name}"})


def merge(parts: Iterable[Ruleset]) -> Ruleset:
    """Later parts win where they name the same thing."""
    chains: dict[str, tuple[str, ...]] = {}
    sets: dict[str, str] = {}
    elements: dict[tuple[str, str], str] = {}
    for part in parts:
        chains.update(part.chains)
        sets.update(part.sets)
        elements.update(part.elements)
    return Ruleset(chains, sets, elements)


def _add(
    port: ServicePort,
    cluster_cidr: str,
    chains: dict[str, tuple[str, ...]],
    sets: dict[str, str],
    elements: dict[tuple[str, str], str],
) -> None:
    protocol = port.protocol.lower()
    identity = f"{port.namespace}/{port.service}/{port.port_name}/{protocol}/{port.port}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    everyone, local = port.everywhere, port.here
    for backend in {backend for backend in (*everyone, *local) if backend.local}:
        elements["hairpin", f"{backend.ip} . {backend.ip}"] = ""
    if not everyone:
        for address in (*port.cluster_ips, *port.external_ips):
            elements["rejects", f"{address} . {protocol} . {port.port}"] = "goto refuse"
        if port.node_port:
            elements["nodeport_rejects", f"{protocol} . {port.node_port}"] = "goto refuse"
        return
    pick_all, pick_local = f"all_{digest}", f"local_{digest}"
    mark = f"meta mark set meta mark | {MASQUERADE:#x}"
    _pool(pick_all, port, everyone, chains, sets)
    if port.internal_local or port.external_local:
        _pool(pick_local, port, local, chains, sets)
    inside = pick_local if port.internal_local else pick_all
    chains[f"svc_{digest}"] = (f"ip saddr != {cluster_cidr} {mark}", f"goto {inside}")
    for address in port.cluster_ips:
        elements["services", f"{address} . {protocol} . {port.port}"] = f"goto svc_{digest}"
    if not (port.node_port or port.external_ips):
        return
    outside: list[str] = []
    if port.source_ranges and port.external_ips:
        allowed, addresses = ", ".join(port.source_ranges), ", ".join(port.external_ips)
        outside.append(f"ip daddr {{ {addresses} }} ip saddr != {{ {allowed} }} drop")
    if port.external_local:
        outside += [
            f"ip saddr {cluster_cidr} goto {pick_all}",
            f"fib saddr type local {mark} goto {pick_all}",
            f"goto {pick_local}",
        ]
    else:
        outside += [mark, f"goto {pick_all}"]
    chains[f"ext_{digest}"] = tuple(outside)
    for address in port.external_ips:
        elements["services", f"{address} . {protocol} . {port.port}"] = f"goto ext_{digest}"
    if port.node_port:
        elements["nodeports", f"{protocol} . {port.node_port}"] = f"goto ext_{digest}"


def _pool(
    name: str,
    port: ServicePort,
    backends: Sequence[Backend],
    chains: dict[str, tuple[str, ...]],
    sets: dict[str, str],
) -> None:
    protocol = port.protocol.lower()
    if not backends:
        chains[name] = ("drop",)
        return
    if not port.affinity_seconds:
        choices = ", ".join(f"{n} : {b.ip} . {b.port}" for n, b in enumerate(backends))
        chains[name] = (
            f"meta l4proto {protocol} dnat ip to numgen random mod {len(backends)} map {{ {choices} }}",
        )
        return
    members = []
    for backend in backends:
        member = f"{name}_{backend.ip.replace('.', '_')}_{backend.port}"
        sets[f"aff_{member}"] = (
            f"type ipv4_addr; flags dynamic,timeout; timeout {port.affinity_seconds}s; size 65535;"
        )
        chains[member] = (
            f"update @aff_{member} {{ ip saddr }}",
            f"meta l4proto {protocol} dnat ip to {backend.ip}:{backend.port}",
        )
        members.append(member)
    choices = ", ".join(f"{n} : goto {member}" for n, member in enumerate(members))
    chains[name] = (
        *(f"ip saddr @aff_{member} goto {member}" for member in members),
        f"numgen random mod {len(members)} vmap {{ {choices} }}",
    )


def digest(state: Ruleset, frame: str) -> str:
    """Names a state in its skeleton; the table carries it, so that a later process knows what the kernel holds."""
    return hashlib.sha256(frame.encode() + msgspec.json.encode(pack(state))).hexdigest()[:24]


def pack(state: Ruleset) -> Packed:
    return Packed(
        sorted(state.chains.items()),
        sorted(state.sets.items()),
        sorted((*key, verdict) for key, verdict in state.elements.items()),
    )


def unpack(packed: Packed) -> Ruleset:
    return Ruleset(
        dict(packed.chains), dict(packed.sets), {(where, key): verdict for where, key, verdict in packed.elements}
    )


def difference(old: Ruleset, new: Ruleset) -> str:
    """The transaction that leads from `old` to `new`; empty when they are equal."""
    lines: list[str] = []
    table = f"ip {TABLE}"
    changed = [name for name, rules in new.chains.items() if old.chains.get(name) != rules]
    gone = [name for name in old.chains if name not in new.chains]
    resized = [name for name in old.sets if name in new.sets and old.sets[name] != new.sets[name]]
    lines += [f"add set {table} {name} {{ {kind} }}" for name, kind in new.sets.items() if name not in old.sets]
    lines += [f"add chain {table} {name}" for name in changed if name not in old.chains]
    lines += [f"flush chain {table} {name}" for name in changed if name in old.chains]
    for name in resized:
        users = [chain for chain, rules in new.chains.items() if any(f"@{name} " in rule for rule in rules)]
        again = [chain for chain in users if chain not in changed]
        lines += [f"flush chain {table} {chain}" for chain in again]
        changed += again
    for name in resized:
        lines += [f"delete set {table} {name}", f"add set {table} {name} {{ {new.sets[name]} }}"]
    lines += [f"add rule {table} {name} {rule}" for name in changed for rule in new.chains[name]]
    for (container, key), verdict in old.elements.items():
        if new.elements.get((container, key)) != verdict:
            lines.append(f"delete element {table} {container} {{ {_pair(key, verdict)} }}")
    for (container, key), verdict in new.elements.items():
        if old.elements.get((container, key)) != verdict:
            lines.append(f"add element {table} {container} {{ {_pair(key, verdict)} }}")
    lines += [f"flush chain {table} {name}" for name in gone]
    lines += [f"delete chain {table} {name}" for name in gone]
    lines += [f"delete set {table} {name}" for name in old.sets if name not in new.sets]
    return "\n".join(lines) + "\n" if lines else ""


def _pair(key: str, verdict: str) -> str:
    return f"{key} : {verdict}" if verdict else key
