"""All verbs of one kind, in the order in which the upstream suite's `API operations` tests use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.api.raw import MERGE
from tests.conformance.space import Obj, Space, kind_of


def check_discovery(space: Space, group: str, version: str, *resources: str) -> None:
    """The group is in /apis, the version in its group, the resources with all verbs in the version."""
    groups = space.http.get("/apis").ok()["groups"]
    [found] = [one for one in groups if one["name"] == group]
    assert version in {one["version"] for one in found["versions"]}
    assert version in {one["version"] for one in space.http.get(f"/apis/{group}").ok()["versions"]}
    served = {one["name"] for one in space.http.get(f"/apis/{group}/{version}").ok()["resources"]}
    assert set(resources) <= served


def check_verbs(space: Space, made: Callable[[str], Obj], change: Callable[[Obj], Any] | None = None) -> Obj:
    """`made` gives an object by name; `change` is one more change with the PUT. Leaves one object: the last."""
    label = {"special-label": space.name}
    selector = f"special-label={space.name}"

    def fresh(name: str) -> Obj:
        obj = made(f"{name}-{space.name}")
        obj["metadata"]["labels"] = {**obj["metadata"].get("labels", {}), **label}
        return obj

    first = space.create(fresh("a"))
    kind, name = kind_of(first), first["metadata"]["name"]
    everywhere = space.path(kind).replace(f"/namespaces/{space.name}", "") + f"?labelSelector={selector}"
    assert space.get(kind, name)["metadata"]["uid"] == first["metadata"]["uid"]
    assert [one["metadata"]["name"] for one in space.list(kind, labelSelector=selector)] == [name]
    listed = space.http.get(everywhere).ok()
    assert len(listed["items"]) == 1
    since = listed["metadata"]["resourceVersion"]
    patched = space.patch(kind, name, {"metadata": {"annotations": {"patched": "true"}}}, type=MERGE)
    assert patched["metadata"]["annotations"]["patched"] == "true"

    def put() -> Obj:
        obj = space.get(kind, name)
        obj["metadata"]["annotations"]["updated"] = "true"
        if change is not None:
            change(obj)
        return space.update(obj)

    assert space.wait(put)["metadata"]["annotations"]["updated"] == "true"
    for annotation in ("patched", "updated"):
        space.until(
            kind,
            lambda one, annotation=annotation: one["metadata"].get("annotations", {}).get(annotation) == "true",
            since=since,
            type="MODIFIED",
            labelSelector=selector,
        )
    space.delete(kind, name, {"propagationPolicy": "Background"})
    space.wait(lambda: space.gone(kind, name))
    space.until(
        kind, lambda one: one["metadata"]["name"] == name, since=since, type="DELETED", labelSelector=selector
    )
    for other in ("b", "c"):
        space.create(fresh(other))
    assert len(space.http.get(everywhere).ok()["items"]) == 2
    space.ask("DELETE", kind, body={}, query={"labelSelector": selector}).ok()
    space.wait(lambda: not space.http.get(everywhere).ok()["items"])
    return space.create(fresh("d"))
