"""Other people's firewall rules that would drop pods' packets: found and named, never touched.

In nftables a drop anywhere is final, whatever our table accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from minikube.node.network.nft import TABLE

_TABLE = re.compile(r"table (\S+) (\S+) \{")
_CHAIN = re.compile(r"chain (\S+) \{")
_BASE = re.compile(r"type filter hook (forward|input) .*policy (\w+);")
_REJECT_ALL = re.compile(r"(counter( packets \d+ bytes \d+)? )?(drop|reject( with .*)?)$")


class Drop(msgspec.Struct, frozen=True):
    """A base chain at `hook` that drops what no rule of it accepts."""

    family: str
    table: str
    chain: str
    hook: str

    def fix(self, cluster_cidr: str) -> str:
        """The commands that let pods through; as the table's owner would give them."""
        tool = "iptables" if self.table == "filter" and self.chain in ("FORWARD", "INPUT") else ""
        if tool:
            ways = ("-s", "-d") if self.hook == "forward" else ("-s",)
            return " && ".join(f"{tool} -I {self.chain} {way} {cluster_cidr} -j ACCEPT" for way in ways)
        ways = ("saddr", "daddr") if self.hook == "forward" else ("saddr",)
        return " && ".join(
            f"nft insert rule {self.family} {self.table} {self.chain} ip {way} {cluster_cidr} accept"
            for way in ways
        )

    def message(self, cluster_cidr: str) -> str:
        what = "between pods and other hosts" if self.hook == "forward" else "from pods to this node"
        return (
            f"chain {self.chain} of table {self.family} {self.table} drops packets {what}; "
            f"let them through with: {self.fix(cluster_cidr)}"
        )


def drops(ruleset: str, cluster_cidr: str) -> list[Drop]:
    """Out of what `nft list ruleset` prints; a chain that accepts the pods' range is no obstacle."""
    return [
        Drop(family, table, chain, base[1])
        for family, table, chain, lines in _chains(ruleset)
        if family in ("ip", "inet") and table != TABLE and lines
        if (base := _BASE.search(lines[0]))
        if (base[2] == "drop" or any(_REJECT_ALL.fullmatch(line) for line in lines[1:]))
        if not any(cluster_cidr in line and line.endswith("accept") for line in lines)
    ]


def _chains(ruleset: str) -> Iterator[tuple[str, str, str, list[str]]]:
    family = table = chain = ""
    lines: list[str] = []
    for line in map(str.strip, ruleset.splitlines()):
        if found := _TABLE.match(line):
            family, table = found[1], found[2]
        elif found := _CHAIN.match(line):
            chain, lines = found[1], []
        elif line == "}" and chain:
            yield family, table, chain, lines
            chain = ""
        elif chain:
            lines.append(line)
