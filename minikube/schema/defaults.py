"""Fills in defaults in place: those of built-in kinds from `builtin_defaults`, those of CRDs from their schema."""

from __future__ import annotations

from typing import Any

from minikube.schema.structure import Obj, Structure


def apply_defaults(obj: Obj, structure: Structure) -> None:
    """Fill every unset field that has a default, top down, then the rules that look at several fields.

    A default that is an object is itself defaulted, as upstream does. Lists and maps are walked. Values of the
    wrong type are left as they are.
    """
    for name, value, zero_too in structure.defaults:
        present = obj.get(name)
        if present is None or (zero_too and not present and type(present) is type(value)):
            obj[name] = copied(value)
    below = structure.defaulting
    if below is None:
        below = _below(structure)
    for name, child in below:
        value = obj.get(name)
        if value:
            _walk(value, child)
        elif isinstance(value, dict):
            apply_defaults(value, child)
    if structure.additional is not None and reaches_defaults(structure.additional):
        for name, value in obj.items():
            if name not in structure.properties:
                _walk(value, structure.additional)
    if structure.rule is not None:
        structure.rule(obj)


def _walk(value: Any, structure: Structure) -> None:
    if isinstance(value, dict):
        apply_defaults(value, structure)
    elif isinstance(value, list) and structure.items is not None:
        items = structure.items
        for item in value:
            if isinstance(item, dict | list):
                _walk(item, items)


def _below(structure: Structure) -> tuple[tuple[str, Structure], ...]:
    found = tuple(
        (name, child)
        for name, child in structure.properties.items()
        if child.type != "string" and reaches_defaults(child)
    )
    structure.defaulting = found
    return found


_reaching: dict[int, tuple[Structure, bool]] = {}


def reaches_defaults(structure: Structure) -> bool:
    """Whether anything in this structure, at any depth, has a default."""
    if structure.defaults or structure.rule is not None:
        return True
    if structure.typed:
        known = _reaching.get(id(structure))
        if known is None:
            known = _reaching[id(structure)] = (structure, _search(structure))
        return known[1]
    return _search(structure)


def _search(structure: Structure) -> bool:
    seen: set[int] = set()
    pending = [structure]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.defaults or one.rule is not None:
            return True
        pending += one.properties.values()
        pending += [child for child in (one.additional, one.items) if child is not None]
    return False


def copied(value: Any) -> Any:
    """A copy of a JSON tree that shares nothing changeable."""
    if isinstance(value, dict):
        return {name: copied(sub) for name, sub in value.items()}
    if isinstance(value, list):
        return [copied(sub) for sub in value]
    return value
