"""Merging an applied configuration into a live object, and taking fields out of it (structured-merge-diff)."""

from __future__ import annotations

from typing import Any

from minikube.schema.fieldset import Fields, element_key, is_leaf, is_member
from minikube.schema.structure import ANY, Obj, Structure


def merged(live: Any, config: Any, structure: Structure) -> Any:
    """`config` over `live`: maps and keyed lists merge, all else is the configuration's. Shares unchanged parts."""
    if isinstance(live, dict) and isinstance(config, dict) and not is_leaf(config, structure):
        out: Obj = dict(live)
        for name, value in config.items():
            child = structure.child(name) or ANY
            out[name] = merged(live[name], value, child) if name in live else value
        return out
    if isinstance(live, list) and isinstance(config, list) and not is_leaf(config, structure):
        return _merged_lists(live, config, structure)
    return config


def _merged_lists(live: list[Any], config: list[Any], structure: Structure) -> list[Any]:
    """The configuration's order holds; elements it doesn't name stay where they were between the shared ones."""
    items = structure.items or ANY
    left = [(element_key(item, structure), item) for item in live]
    right = [(element_key(item, structure), item) for item in config]
    ours, theirs = dict(left), dict(right)
    shared = [key for key, _ in right if key in ours]
    out: list[Any] = []
    at_left = at_right = at_shared = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            key, item = left[at_left]
            if key not in theirs:
                out.append(item)
                at_left += 1
                continue
            awaited = shared[at_shared] if at_shared < len(shared) else None
            if key != awaited:
                at_left += 1
                continue
            if at_right < len(right) and right[at_right][0] == key:
                at_left += 1
        if at_right < len(right):
            key, item = right[at_right]
            out.append(merged(ours[key], item, items) if key in ours else item)
            at_right += 1
            if at_shared < len(shared) and shared[at_shared] == key:
                at_shared += 1
    return out


def removed(value: Any, doomed: Fields, structure: Structure) -> Any:
    """A copy of the value without these fields; what is emptied by it goes too (None)."""
    if not doomed or is_leaf(value, structure):
        return value
    if isinstance(value, dict):
        out: Obj = {}
        for name, sub in value.items():
            node = doomed.get(f"f:{name}")
            if node is None:
                out[name] = sub
            elif not is_member(node):
                left = removed(sub, node, structure.child(name) or ANY)
                if left is not None:
                    out[name] = left
        return out or None
    items: list[Any] = []
    for item in value:
        node = doomed.get(element_key(item, structure))
        if node is None:
            items.append(item)
        elif not is_member(node):
            left = removed(item, node, structure.items or ANY)
            if left is not None:
                items.append(left)
    return items or None
