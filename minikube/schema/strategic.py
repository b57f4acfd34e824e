"""Strategic merge patch: a merge patch whose lists merge by key, as the structure says, with $-directives.

The rules are those of apimachinery/pkg/util/strategicpatch (and its design note on $setElementOrder).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minikube.schema.defaults import copied
from minikube.schema.patch import PatchError, equal, go_value
from minikube.schema.structure import ANY, Obj, Structure

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"


def strategic_merge(original: Obj, patch: Mapping[str, Any], structure: Structure) -> Obj:
    """A new object: `original` with the patch merged in. Raises PatchError for a patch that makes no sense."""
    return _merge_map(original, patch, structure)


def _merge_map(original: Mapping[str, Any], patch: Mapping[str, Any], structure: Structure) -> Obj:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {name: copied(value) for name, value in patch.items() if name != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise PatchError(f"unknown patch type: {go_value(directive)} in map: {go_value(patch)}")
    out = _retained(original, patch)
    ordered = {name[len(ORDER) :] for name in patch if name.startswith(ORDER)}
    for name, value in patch.items():
        if name in (DIRECTIVE, RETAIN_KEYS) or name in ordered:
            continue
        if name.startswith(ORDER):
            field = name[len(ORDER) :]
            if field in patch and patch[field] is None:
                out.pop(field, None)
            else:
                _set_order(out, field, value, patch.get(field), structure.child(field) or ANY)
        elif name.startswith(DELETE_PRIMITIVES):
            field = name[len(DELETE_PRIMITIVES) :]
            if field not in ordered and isinstance(out.get(field), list):
                out[field] = [item for item in out[field] if not _among(item, value)]
        else:
            _merge_field(out, name, value, structure.child(name) or ANY)
    for field in ordered:
        doomed = patch.get(DELETE_PRIMITIVES + field)
        if doomed and isinstance(out.get(field), list):
            out[field] = [item for item in out[field] if not _among(item, doomed)]
    return out


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any]) -> Obj:
    keep = patch.get(RETAIN_KEYS)
    if keep is None:
        return dict(original)
    if not isinstance(keep, list):
        raise PatchError("invalid patch format of retainKeys")
    for name, value in patch.items():
        if value is not None and not name.startswith("$") and name not in keep:
            raise PatchError("patch content doesn't match retainKeys list")
    return {name: value for name, value in original.items() if name in keep}


def _merge_field(out: Obj, name: str, value: Any, structure: Structure) -> None:
    if value is None:
        out.pop(name, None)
    elif isinstance(value, Mapping):
        present = out.get(name)
        if isinstance(present, Mapping) and "replace" in structure.merge_strategies:
            present = {}
        out[name] = _merge_map(present if isinstance(present, Mapping) else {}, value, structure)
    elif isinstance(value, list) and "merge" in structure.merge_strategies:
        present = out.get(name)
        out[name] = _merge_list(present if isinstance(present, list) else [], value, structure)
    else:
        out[name] = _without_directives(value)


def _without_directives(value: Any) -> Any:
    """A list that replaces: directives inside its elements make no sense any more."""
    if isinstance(value, list):
        replaced = [item for item in value if not (isinstance(item, Mapping) and item.get(DIRECTIVE) == "delete")]
        return [_without_directives(item) for item in replaced if item != {DIRECTIVE: "replace"}]
    if isinstance(value, Mapping):
        return {
            name: _without_directives(sub)
            for name, sub in value.items()
            if not name.startswith((DIRECTIVE, RETAIN_KEYS, ORDER, DELETE_PRIMITIVES))
        }
    return value


def _merge_list(original: list[Any], patch: list[Any], structure: Structure) -> list[Any]:
    if not patch:
        return list(original)
    if not isinstance(patch[0], Mapping):
        merged = list(original)
        merged += [item for index, item in enumerate(patch) if not _among(item, [*original, *patch[:index]])]
        return _in_order(merged, patch, original, "")
    key = structure.merge_key
    original, patch, replaced = _special(original, patch, key)
    if replaced:
        return [_without_directives(item) for item in patch]
    merged = list(original)
    for item in patch:
        at = _find(merged, item, key)
        if at is None:
            merged.append(_merge_map({}, item, structure.items or ANY))
        else:
            merged[at] = _merge_map(merged[at], item, structure.items or ANY)
    return _in_order(merged, patch, original, key)


def _special(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any], bool]:
    """Elements that are directives acted on: what is left of both lists, and whether the patch replaces all."""
    plain: list[Any] = []
    replace = False
    for item in patch:
        directive = item.get(DIRECTIVE)
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            if key not in item:
                raise PatchError(f"map: {go_value(item)} does not contain declared merge key: {key}")
            original = [one for one in original if not equal(one.get(key), item[key])]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch")
        else:
            raise PatchError(f"unknown patch type: {go_value(directive)} in map: {go_value(item)}")
    return original, plain, replace


def _find(items: Sequence[Any], wanted: Any, key: str) -> int | None:
    if not key:
        return next((at for at, item in enumerate(items) if equal(item, wanted)), None)
    if not isinstance(wanted, Mapping) or key not in wanted:
        raise PatchError(f"map: {go_value(wanted)} does not contain declared merge key: {key}")
    value = wanted[key]
    for at, item in enumerate(items):
        if isinstance(item, Mapping) and equal(item.get(key), value):
            return at
    return None


def _among(item: Any, items: Any) -> bool:
    return any(equal(item, other) for other in items)


def _set_order(out: Obj, field: str, order: Any, patch: Any, structure: Structure) -> None:
    """$setElementOrder/field: merge the list, then put it in the order the client saw."""
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list")
    original = out.get(field)
    if not isinstance(original, list):
        original = []
    if patch is None and field not in out:
        return
    key = structure.merge_key if order and isinstance(order[0], Mapping) else ""
    if patch is not None:
        for item in patch:
            if isinstance(item, Mapping) and DIRECTIVE in item:
                continue
            if _find(order, item, key) is None:
                listed = f"{ORDER}{field} list:\n{go_value(order)}\n"
                raise PatchError(f"The order in patch list:\n{go_value(patch)}\n doesn't match {listed}")
    merged = _merge_list(original, patch, structure) if patch is not None else original
    out[field] = _in_order(merged, order, original, key)


def _in_order(merged: list[Any], order: list[Any], server: list[Any], key: str) -> list[Any]:
    """Elements named in `order` as it has them; the others where the server's order puts them between."""
    named = [item for item in merged if _find(order, item, key) is not None]
    named.sort(key=lambda item: _find(order, item, key) or 0)
    others = [item for item in merged if _find(order, item, key) is None]
    out: list[Any] = []
    while named and others:
        here, there = _find(server, others[0], key), _find(server, named[0], key)
        first = others if here is not None and there is not None and here < there else named
        out.append(first.pop(0))
    return out + named + others
