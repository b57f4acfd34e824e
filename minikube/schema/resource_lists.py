"""Defaults of lists of resources: limits, requests, capacity, quotas (SetDefaults_ResourceList)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from minikube.api import quantity

Obj = dict[str, Any]


def round_up(amounts: Any) -> None:
    """Amounts in a list of resources are whole thousandths (SetDefaults_ResourceList); n and u are the only finer
    suffixes that a canonical quantity has."""
    for name, amount in (amounts or {}).items():
        if isinstance(amount, str) and amount.endswith(("n", "u")):
            amounts[name] = quantity.format(Fraction(quantity.milli_value(amount), 1000))


def lists_of_resources(*fields: str) -> Callable[[Obj], None]:
    """The rule of an object that has lists of resources in these fields."""

    def rule(one: Obj) -> None:
        for name in fields:
            if name in one:
                round_up(one[name])

    return rule


def node_status(status: Obj) -> None:
    """What a node has can be had unless it says that some is kept back."""
    round_up(status.get("capacity"))
    if "allocatable" not in status and "capacity" in status:
        status["allocatable"] = dict(status["capacity"])
    round_up(status.get("allocatable"))
