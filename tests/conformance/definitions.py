"""Custom resource definitions for tests: each in a group that is named after the test's namespace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.conformance.space import Obj, Space, condition

CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
ANYTHING: Obj = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def version(name: str = "v1", schema: Obj = ANYTHING, *, storage: bool = True, **more: Any) -> Obj:
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def definition(
    space: Space,
    kind: str = "Foo",
    *versions: Obj,
    group: str = "",
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Obj:
    """Of a kind with namespaces whose plural is `<kind>s`; without versions: v1, whose objects may be anything."""
    group = group or f"{space.name}.example.com"
    names = {"kind": kind, "plural": kind.lower() + "s", "singular": kind.lower(), "listKind": kind + "List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{group}", "labels": dict(labels or {})},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced",
            "versions": list(versions) or [version()],
            **spec,
        },
    }


@contextmanager
def defined(space: Space, wanted: Obj) -> Iterator[str]:
    """Served until the end of the block; gives `<group>/` to put before `<version>/<kind>`."""
    name = space.create(wanted)["metadata"]["name"]
    try:
        space.wait(lambda: condition(space.get(CRD, name), "Established") == "True")
        yield wanted["spec"]["group"] + "/"
    finally:
        space.ask("DELETE", CRD, name)


def instance(api_version: str, kind: str = "Foo", name: str = "one", **fields: Any) -> Obj:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}
