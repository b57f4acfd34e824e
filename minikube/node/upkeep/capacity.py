"""What the node has, and what of it pods may use: less what is reserved and what hard eviction keeps free. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

from minikube.api.meta import Quantity
from minikube.api.quantity import QuantityError, format, parse
from minikube.node.upkeep.thresholds import MEMORY, NODE_DISK, Threshold

NATIVE = frozenset({"cpu", "memory", "ephemeral-storage", "pods"})
HUGE_PAGES = "hugepages-"
Amounts = Mapping[str, Quantity]


def capacity_of(
    cpus: int, memory: int, disk: int, pods: int, huge_pages: Mapping[str, int], old: Amounts
) -> Amounts:
    """`memory` and `disk` in bytes, `huge_pages` bytes by resource name; resources that others added stay."""
    extended = {name: each for name, each in old.items() if name not in NATIVE and not name.startswith(HUGE_PAGES)}
    return {
        **extended,
        "cpu": str(cpus),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": f"{disk // 1024}Ki",
        **{name: format(each, "BinarySI") for name, each in huge_pages.items()},
        "pods": str(pods),
    }


def allocatable_of(capacity: Amounts, reserved: Iterable[Amounts], hard: Iterable[Threshold]) -> Amounts:
    """Memory that huge pages take is not there for others."""
    left = {name: parse(each) for name, each in capacity.items()}
    left["memory"] -= sum((each for name, each in left.items() if name.startswith(HUGE_PAGES)), Fraction(0))
    for amounts in reserved:
        for name, amount in amounts.items():
            if name in left:
                left[name] -= parse(amount)
    for threshold in hard:
        resource = {MEMORY: "memory", NODE_DISK: "ephemeral-storage"}.get(threshold.signal)
        if resource is not None and threshold.grace is None:
            left[resource] -= threshold.amount(int(parse(capacity[resource])))
    return {name: _text(name, max(Fraction(0), amount), capacity[name]) for name, amount in left.items()}


def _text(name: str, amount: Fraction, whole: Quantity) -> Quantity:
    if amount == parse(whole):
        return whole
    if name == "memory":
        return f"{int(amount) // 1024}Ki"
    return format(amount if name == "cpu" else int(amount), "DecimalSI")


def parse_reserved(text: str) -> Amounts:
    """cpu=100m,memory=200Mi. Raises ValueError."""
    found: dict[str, Quantity] = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.strip().partition("=")
        try:
            parse(amount)
        except QuantityError as error:
            raise ValueError(f"reservation {part!r}: {error}") from error
        found[name] = amount
    return found


def huge_pages(directory: Path = Path("/sys/kernel/mm/hugepages")) -> Mapping[str, int]:
    """Bytes by resource name of every page size that the kernel has. Blocking."""
    found = {}
    for entry in sorted(directory.glob("hugepages-*kB")):
        size = int(entry.name.removeprefix(HUGE_PAGES).removesuffix("kB")) * 1024
        count = int((entry / "nr_hugepages").read_text())
        found[HUGE_PAGES + format(size, "BinarySI")] = count * size
    return found
