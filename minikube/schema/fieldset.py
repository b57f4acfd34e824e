"""Sets of field paths, kept as the trees that metadata.managedFields carries (FieldsV1).

    {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}

A key is one step: `f:name` a field, `k:{…}` a list element by its keys, `v:…` a set's element by value. An
empty tree is a member and nothing below; `.` beside other keys says that the path itself is a member too.
The rules are those of sigs.k8s.io/structured-merge-diff (fieldpath and typed). Trees are shared: never change one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from minikube.schema.structure import ANY, Structure

Fields = dict[str, Any]
SELF: Fields = {}
_encode = msgspec.json.Encoder(order="sorted").encode

# Parts that Go keeps as plain structs: they exist even in an object that was just made.
ALWAYS_THERE = frozenset({"metadata", "spec", "status", "strategy", "updateStrategy", "template"})


class Comparison(msgspec.Struct, frozen=True):
    """What differs between two objects. `changed` is added and modified together."""

    added: Fields
    modified: Fields
    removed: Fields

    @property
    def same(self) -> bool:
        return not (self.added or self.modified or self.removed)

    @property
    def changed(self) -> Fields:
        return union(self.added, self.modified)


# ---- sets ----------------------------------------------------------------------------------------------


def is_member(node: Fields) -> bool:
    return not node or "." in node


def node_of(member: bool, below: Fields) -> Fields | None:
    """The tree at one key: None when nothing is in the set at or below it."""
    if not below:
        return SELF if member else None
    return {".": SELF, **below} if member else below


def union(one: Fields, other: Fields) -> Fields:
    if not one or not other:
        return one or other
    out = dict(one)
    for key, theirs in other.items():
        ours = out.get(key)
        if ours is None:
            out[key] = theirs
        elif key != "." and ours is not theirs and (ours or theirs):
            member = is_member(ours) or is_member(theirs)
            out[key] = node_of(member, union(_below(ours), _below(theirs))) or SELF
    return out


def _below(node: Fields) -> Fields:
    return {key: sub for key, sub in node.items() if key != "."} if "." in node else node


def difference(one: Fields, other: Fields) -> Fields:
    """Members of `one` that are not members of `other`; nothing follows for what is below a member."""
    out: Fields = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            out[key] = ours
        elif key != ".":
            member = is_member(ours) and not is_member(theirs)
            node = node_of(member, difference(_below(ours), _below(theirs)))
            if node is not None:
                out[key] = node
    return out


def intersection(one: Fields, other: Fields) -> Fields:
    out: Fields = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None or key == ".":
            continue
        member = is_member(ours) and is_member(theirs)
        node = node_of(member, intersection(_below(ours), _below(theirs)))
        if node is not None:
            out[key] = node
    return out


def without(one: Fields, other: Fields) -> Fields:
    """Like difference, but a member of `other` takes all below it along."""
    out: Fields = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            out[key] = ours
        elif not is_member(theirs):
            node = node_of(is_member(ours), without(_below(ours), theirs))
            if node is not None:
                out[key] = node
    return out


def with_named_parents(fields: Fields, structure: Structure) -> Fields:
    """The set with every declared field that something in it lies below (EnsureNamedFieldsAreMembers)."""
    out: Fields = {}
    for key, node in fields.items():
        child = step(structure, key)
        below = with_named_parents(_below(node), child) if node else SELF
        named = key.startswith("f:") and key[2:] in structure.properties
        out[key] = node_of(named or is_member(node), below) or SELF
    return out


def step(structure: Structure, key: str) -> Structure:
    """The structure one step further down."""
    if key.startswith("f:"):
        return structure.child(key[2:]) or ANY
    return structure.items or ANY


def paths(fields: Fields, before: str = "") -> Iterator[str]:
    """Members as people read them: `.spec.containers[name="a"].image`."""
    for key, node in fields.items():
        if key == ".":
            continue
        path = before + shown(key)
        if is_member(node):
            yield path
        if node:
            yield from paths(node, path)


def shown(key: str) -> str:
    kind, _, rest = key.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys: dict[str, Any] = msgspec.json.decode(rest)
        return "[" + ",".join(f"{name}={_encode(value).decode()}" for name, value in keys.items()) + "]"
    return f"[={rest}]" if kind == "v" else f"[{rest}]"


# ---- sets of objects -----------------------------------------------------------------------------------


def is_leaf(value: Any, structure: Structure) -> bool:
    """Owned as one: a scalar, an atomic map, or a list without keys."""
    if isinstance(value, dict):
        return structure.map_type == "atomic"
    if isinstance(value, list):
        return structure.list_type not in ("set", "map")
    return True


def element_key(item: Any, structure: Structure) -> str:
    """The step to this element of a set or keyed list; keys that are unset have their defaults."""
    if structure.list_type == "set" or not isinstance(item, dict):
        return f"v:{_encode(item).decode()}"
    keys = structure.list_keys
    if len(keys) == 1 and type(item.get(keys[0])) is str:
        return f'k:{{"{keys[0]}":{_encode(item[keys[0]]).decode()}}}'
    found: dict[str, Any] = {}
    for name in sorted(keys):
        value = item.get(name)
        if value is None and structure.items is not None:
            value = next((default for field, default, _ in structure.items.defaults if field == name), None)
        if value is not None:
            found[name] = value
    return f"k:{_encode(found).decode()}"


def elements(items: Sequence[Any], structure: Structure) -> dict[str, Any]:
    """Elements by their step; of several with the same keys the last one counts."""
    return {element_key(item, structure): item for item in items}


def of_object(obj: Mapping[str, Any], structure: Structure) -> Fields:
    """The fields an applied configuration names (typed.ToFieldSet)."""
    return _named(dict(obj), structure) or SELF


def _named(value: Any, structure: Structure) -> Fields | None:
    if is_leaf(value, structure):
        return SELF
    out: Fields = {}
    if isinstance(value, list):
        items = structure.items or ANY
        for key, item in elements(value, structure).items():
            out[key] = node_of(True, _below(_named(item, items) or SELF)) or SELF
        return out or None
    if not value:
        return SELF
    for name, sub in value.items():
        declared = structure.properties.get(name)
        node = _named(sub, declared or structure.additional or ANY)
        if declared is None:
            node = node_of(True, _below(node or SELF))
        if node is not None:
            out[f"f:{name}"] = node
    return out or None


def compare(old: Mapping[str, Any], new: Mapping[str, Any], structure: Structure) -> Comparison:
    """What differs between two whole objects (typed.Compare)."""
    added: Fields = {}
    modified: Fields = {}
    removed: Fields = {}
    _compare_maps(old, new, structure, added, modified, removed)
    return Comparison(added, modified, removed)


def _compare_maps(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    structure: Structure,
    added: Fields,
    modified: Fields,
    removed: Fields,
) -> None:
    for name, value in new.items():
        before = old.get(name, _MISSING)
        child = structure.child(name) or ANY
        if before is _MISSING:
            added[f"f:{name}"] = _whole(value, child, _always_there(name, structure))
        elif before is not value and before != value:
            _compare(f"f:{name}", before, value, child, added, modified, removed)
    for name, value in old.items():
        if name not in new:
            child = structure.child(name) or ANY
            removed[f"f:{name}"] = _whole(value, child, _always_there(name, structure))


_MISSING: Any = object()


def _always_there(name: str, structure: Structure) -> bool:
    return name == "metadata" or (structure.typed and (name in ALWAYS_THERE or name in structure.required))


def _compare(
    key: str, old: Any, new: Any, structure: Structure, added: Fields, modified: Fields, removed: Fields
) -> None:
    if is_leaf(old, structure) or is_leaf(new, structure) or type(old) is not type(new):
        modified[key] = SELF
        return
    more: Fields = {}
    other: Fields = {}
    less: Fields = {}
    if isinstance(new, dict):
        _compare_maps(old, new, structure, more, other, less)
    else:
        before, after = elements(old, structure), elements(new, structure)
        items = structure.items or ANY
        for step_, item in after.items():
            if step_ not in before:
                more[step_] = _whole(item, items, False)
            elif before[step_] != item:
                _compare(step_, before[step_], item, items, more, other, less)
        for step_, item in before.items():
            if step_ not in after:
                less[step_] = _whole(item, items, False)
    for target, found in ((added, more), (modified, other), (removed, less)):
        if found:
            target[key] = found


def _whole(value: Any, structure: Structure, always_there: bool) -> Fields:
    """A value that came or went, with all it holds; containers are members unless they are always there."""
    if is_leaf(value, structure):
        return SELF
    below: Fields
    if isinstance(value, dict):
        below = {
            f"f:{name}": _whole(sub, structure.child(name) or ANY, _always_there(name, structure))
            for name, sub in value.items()
        }
    else:
        items = structure.items or ANY
        below = {key: _whole(item, items, False) for key, item in elements(value, structure).items()}
    return node_of(not always_there, below) or SELF
