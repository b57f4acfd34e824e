"""Which part of an object a write may change: the main resource, /status and the other subresources.

Rules: PrepareForUpdate of the strategies in kubernetes/pkg/registry.
"""

from __future__ import annotations

import copy
from typing import Any

from minikube.resources.base import Kind, Obj, ReadOnlyObj

Path = tuple[str, str]
WRITES: dict[tuple[str, str], tuple[Path, ...]] = {
    ("pods", "binding"): (
        ("spec", "nodeName"), ("status", "conditions"), ("metadata", "labels"), ("metadata", "annotations"),
    ),
    ("pods", "ephemeralcontainers"): (("spec", "ephemeralContainers"),),
    ("namespaces", "finalize"): (("spec", "finalizers"),),
    ("certificatesigningrequests", "approval"): (
        ("status", "conditions"), ("metadata", "labels"), ("metadata", "annotations"),
    ),
}  # fmt: skip
"""(plural, subresource) -> the fields that it may write."""
RESIZED = ("resources", "resizePolicy")


def split(kind: Kind, new: Obj, old: ReadOnlyObj, subresource: str) -> Obj:
    """What `new`, written through this subresource, comes to; it may be changed in the making."""
    if subresource == "status":
        return _only(new, old, (("status", ""), *(("metadata", field) for field in kind.status_metadata)))
    writes = WRITES.get((kind.resource.plural, subresource))
    if writes is not None:
        return _only(new, old, writes)
    if subresource == "resize":
        return _resized(new, old)
    if kind.status and not subresource:
        if "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        else:
            new.pop("status", None)
    return new


def _only(new: Obj, old: ReadOnlyObj, fields: tuple[Path, ...]) -> Obj:
    """The old object with these fields of the new one; the entries of managers travel along."""
    out = copy.deepcopy(dict(old))
    for part, field in (*fields, ("metadata", "managedFields")):
        if not field:
            _take(out, new, part)
        elif field in (new.get(part) or {}) or field in (out.get(part) or {}):
            _take(out.setdefault(part, {}), new.get(part) or {}, field)
    return out


def _take(out: Obj, source: ReadOnlyObj, field: str) -> None:
    if field in source:
        out[field] = source[field]
    else:
        out.pop(field, None)


def _resized(new: Obj, old: ReadOnlyObj) -> Obj:
    """Only the resources of containers that are there, and of the whole pod if it has some."""
    out = copy.deepcopy(dict(old))
    if "managedFields" in new["metadata"]:
        out["metadata"]["managedFields"] = new["metadata"]["managedFields"]
    spec: dict[str, Any] = new.get("spec") or {}
    for group in ("containers", "initContainers"):
        wanted = {one.get("name"): one for one in spec.get(group) or ()}
        for container in out["spec"].get(group) or ():
            for field in RESIZED if container["name"] in wanted else ():
                _take(container, wanted[container["name"]], field)
    if out["spec"].get("resources") and spec.get("resources"):
        out["spec"]["resources"] = spec["resources"]
    return out
