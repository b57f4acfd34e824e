"""What an apply configuration cannot be typed for, in the words and paths of structured-merge-diff."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from minikube.schema.fieldset import element_key, shown
from minikube.schema.structure import Structure

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\.")


def doubled(value: Any, structure: Structure, path: str = "") -> Iterator[str]:
    """Keyed lists and sets that have an element twice."""
    if isinstance(value, dict):
        for name, sub in value.items():
            if (child := structure.child(name)) is not None:
                yield from doubled(sub, child, f"{path}.{name}")
    elif isinstance(value, list) and structure.items is not None:
        keyed = structure.list_type in ("map", "set")
        seen: set[str] = set()
        for index, item in enumerate(value):
            key = element_key(item, structure) if keyed else f"i:{index}"
            if key in seen:
                yield f"{path}: duplicate entries for key {shown(key)}"
            seen.add(key)
            yield from doubled(item, structure.items, path + shown(key))


def spelled(path: str, value: Any, structure: Structure | None) -> str:
    """A path with indexes (`spec.containers[0].imag`) as one with keys: `.spec.containers[name="a"].imag`."""
    out, present = "", value
    for step in _STEP.finditer(path):
        name, index = step.group(1), step.group(2)
        if name is not None:
            out += f".{name}"
            present = present.get(name) if isinstance(present, dict) else None
            structure = structure.child(name) if structure is not None else None
        elif index is not None:
            present = present[int(index)] if isinstance(present, list) and int(index) < len(present) else None
            keyed = structure is not None and structure.list_type in ("map", "set") and present is not None
            out += shown(element_key(present, structure)) if keyed and structure is not None else f"[{index}]"
            structure = structure.items if structure is not None else None
    return out
