"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) over plain JSON trees. Inputs are never changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minikube.schema.clean import found
from minikube.schema.defaults import copied

MISSING = "missing value"


class PatchError(Exception):
    """A patch that cannot be applied; worded as evanphx/json-patch does."""


def go_value(value: Any) -> str:
    """A JSON value as Go's %+v prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{go_value(value[name])}' for name in sorted(value))}]"
    return f"[{' '.join(map(go_value, value))}]" if isinstance(value, list | tuple) else str(value)


def merge_patch(doc: Any, patch: Any) -> Any:
    """The document with the patch merged in: null removes, objects merge, anything else replaces."""
    if not isinstance(patch, Mapping):
        return copied(patch)
    out = dict(doc) if isinstance(doc, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merge_patch(out.get(name), value)
    return out


def json_patch(doc: Any, operations: Sequence[Any]) -> Any:
    """The document after all operations, or PatchError and nothing is changed.

    As version 4 of evanphx/json-patch has it: what is not there may be replaced, and tested for being null.
    """
    out = copied(doc)
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise PatchError(f"json: cannot unmarshal {found(operation)} into Go value of type jsonpatch.Operation")
        if operation.get("path") == "" and operation.get("op") in ("add", "replace"):
            out = copied(operation.get("value"))
        else:
            _apply(out, operation)
    return out


def _apply(doc: Any, operation: Mapping[str, Any]) -> None:
    verb = operation.get("op")
    if verb == "add":
        parent, key = _parent(doc, _text(operation, "path", verb), "add", 'doc is missing path: "{}"')
        _in(f"error in add for path: '{operation['path']}'", _add, parent, key, copied(operation.get("value")))
    elif verb == "remove":
        parent, key = _parent(doc, _text(operation, "path", verb), "remove", 'doc is missing path: "{}"')
        _in(f"error in remove for path: '{operation['path']}'", _remove, parent, key)
    elif verb == "replace":
        _replace(doc, _text(operation, "path", verb), copied(operation.get("value")))
    elif verb == "test":
        _test(doc, _text(operation, "path", verb), operation.get("value"))
    elif verb == "move":
        origin, key = _parent(doc, _text(operation, "from", verb), "move", "doc is missing from path: {}")
        value = _in(f"error in move for path: '{key}'", _get, origin, key)
        _in(f"error in move for path: '{key}'", _remove, origin, key)
        parent, key = _parent(doc, _text(operation, "path", verb), "move", "doc is missing destination path: {}")
        _in(f"error in move for path: '{operation['path']}'", _add, parent, key, value)
    elif verb == "copy":
        origin, key = _parent(doc, _text(operation, "from", verb), "copy", "doc is missing from path: {}")
        value = _in(f"error in copy for from: '{operation['from']}'", _get, origin, key)
        parent, key = _parent(doc, _text(operation, "path", verb), "copy", "doc is missing destination path: {}")
        _in("error while adding value during copy", _add, parent, key, copied(value))
    else:
        raise PatchError(f"Unexpected kind: {verb if isinstance(verb, str) else 'unknown'}")


def _text(operation: Mapping[str, Any], field: str, verb: str) -> str:
    given = operation.get(field)
    if not isinstance(given, str):
        raise PatchError(f"{verb} operation failed to decode {field}: {MISSING}")
    return given


def _in(where: str, act: Callable[..., Any], *arguments: Any) -> Any:
    """What `act` returns; what it complains of is said to be there."""
    try:
        return act(*arguments)
    except PatchError as error:
        raise PatchError(f"{where}: {error}") from None


def _parent(doc: Any, path: str, verb: str, what: str) -> tuple[Any, str]:
    """The object or list that the path's last part is in, and that part."""
    steps = path.split("/")
    place = doc if len(steps) > 1 else None
    for step in steps[1:-1]:
        try:
            place = _get(place, _unescaped(step))
        except PatchError:
            place = None
        if not isinstance(place, dict | list):
            break
    if not isinstance(place, dict | list):
        raise PatchError(f"{verb} operation does not apply: {what.format(path)}: {MISSING}")
    return place, _unescaped(steps[-1])


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _index(key: str, length: int) -> int:
    """Of an element; negative ones count from the end."""
    if not re.fullmatch("[+-]?[0-9]+", key, re.ASCII):
        raise PatchError(f'strconv.Atoi: parsing "{key}": invalid syntax')
    at = int(key[:20])
    if not -length <= at < length:
        raise PatchError(f"Unable to access invalid index: {at}: invalid index referenced")
    return at % length


def _get(place: Any, key: str) -> Any:
    """What is there; None if nothing is."""
    return place.get(key) if isinstance(place, dict) else place[_index(key, len(place))]


def _add(place: Any, key: str, value: Any) -> None:
    if isinstance(place, dict):
        place[key] = value
    elif key == "-":
        place.append(value)
    else:
        place.insert(_in(f"value was not a proper array index: '{key}'", _index, key, len(place) + 1), value)


def _remove(place: Any, key: str) -> None:
    if not isinstance(place, dict):
        del place[_index(key, len(place))]
    elif key in place:
        del place[key]
    else:
        raise PatchError(f"Unable to remove nonexistent key: {key}: {MISSING}")


def _replace(doc: Any, path: str, value: Any) -> None:
    place, key = _parent(doc, path, "replace", "doc is missing path: {}")
    if isinstance(place, dict):
        place[key] = value
        return
    try:
        place[_index(key, len(place))] = value
    except PatchError:
        why = f"replace operation does not apply: doc is missing key: {path}: {MISSING}"
        raise PatchError(why) from None


def _test(doc: Any, path: str, wanted: Any) -> None:
    place, key = _parent(doc, path, "test", "is missing path: {}")
    if not equal(_in(f"error in test for path: '{path}'", _get, place, key), wanted):
        raise PatchError(f"testing value {path} failed: test failed")


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, and 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
