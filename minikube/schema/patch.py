"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386) over plain JSON trees. Inputs are never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minikube.schema.defaults import copied


class PatchError(Exception):
    """A patch that cannot be applied; worded as evanphx/json-patch does. `failed_test`: a test did not hold."""

    def __init__(self, message: str, *, failed_test: bool = False) -> None:
        super().__init__(message)
        self.failed_test = failed_test


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
    """The document after all operations, or PatchError and nothing is changed."""
    if not isinstance(operations, Sequence) or isinstance(operations, str | bytes):
        raise PatchError("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    out = copied(doc)
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise PatchError("json: cannot unmarshal value into Go value of type jsonpatch.Operation")
        out = _applied(out, operation)
    return out


def _applied(doc: Any, operation: Mapping[str, Any]) -> Any:
    verb, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise PatchError(f"{verb} operation does not apply: missing or wrong path")
    if verb in ("add", "replace", "test") and "value" not in operation and verb != "test":
        raise PatchError(f"{verb} operation missing value field: {path}")
    if verb == "add":
        return _add(doc, path, copied(operation["value"]))
    if verb == "remove":
        return _remove(doc, path)
    if verb == "replace":
        _get(doc, path, "replace")
        return _add(_remove(doc, path), path, copied(operation["value"])) if path else copied(operation["value"])
    if verb == "test":
        _test(doc, path, operation.get("value"))
        return doc
    if verb in ("move", "copy"):
        origin = operation.get("from")
        if not isinstance(origin, str):
            raise PatchError(f"{verb} operation does not apply: missing from")
        value = copied(_get(doc, origin, verb))
        if verb == "move":
            if path.startswith(origin + "/"):
                raise PatchError(f"move operation does not apply: {path} is inside {origin}")
            doc = _remove(doc, origin)
        return _add(doc, path, value)
    raise PatchError(f"Unexpected kind: {verb}")


def _parts(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(part: str, length: int, verb: str, path: str) -> int:
    if not (part.isascii() and part.isdigit()) or (len(part) > 1 and part[0] == "0"):
        if part.startswith("-") and part[1:].isdigit() and 0 < int(part[1:]) <= length:
            return length - int(part[1:])
        raise PatchError(f"{verb} operation does not apply: doc is missing path: {path}: invalid index {part}")
    at = int(part)
    if at >= length:
        raise PatchError(f"Unable to access invalid index: {at}: invalid index referenced")
    return at


def _get(doc: Any, path: str, verb: str) -> Any:
    for part in _parts(path):
        if isinstance(doc, dict) and part in doc:
            doc = doc[part]
        elif isinstance(doc, list):
            doc = doc[_index(part, len(doc), verb, path)]
        else:
            raise PatchError(f"{verb} operation does not apply: doc is missing key: {path}: missing value")
    return doc


def _add(doc: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    parent_path, _, _ = path.rpartition("/")
    parent, last = _get(doc, parent_path, "add"), _parts(path)[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        at = len(parent) if last == "-" else _index(last, len(parent) + 1, "add", path)
        parent.insert(at, value)
    else:
        raise PatchError(f"add operation does not apply: doc is missing path: {path}: missing value")
    return doc


def _remove(doc: Any, path: str) -> Any:
    if not path:
        return None
    parent_path, _, _ = path.rpartition("/")
    parent, last = _get(doc, parent_path, "remove"), _parts(path)[-1]
    if isinstance(parent, dict) and last in parent:
        del parent[last]
    elif isinstance(parent, list):
        del parent[_index(last, len(parent), "remove", path)]
    else:
        raise PatchError(f"remove operation does not apply: doc is missing path: {path}: missing value")
    return doc


def _test(doc: Any, path: str, wanted: Any) -> None:
    try:
        present = _get(doc, path, "test")
    except PatchError:
        if wanted is None:
            return
        raise PatchError(f"testing value {path} failed: test failed", failed_test=True) from None
    if not equal(present, wanted):
        raise PatchError(f"testing value {path} failed: test failed", failed_test=True)


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, and 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
