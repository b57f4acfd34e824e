"""What the suite's "API operations" rows ask of a kind: discovery, every verb and what a watch tells, status."""

from __future__ import annotations

import copy

from tests.conformance.space import Obj, Space, kind_of

LABEL = "e2e-test"


def listed_in_discovery(space: Space, kind: str, *, status: bool) -> None:
    """In the group list, the group, and the group version's resources."""
    group, version, name = kind.split("/")
    groups = space.http.get("/apis").ok()["groups"]
    found = next(each for each in groups if each["name"] == group)
    assert {"groupVersion": f"{group}/{version}", "version": version} in found["versions"]
    assert space.http.get(f"/apis/{group}").ok()["preferredVersion"]["version"]
    resources = space.http.get(f"/apis/{group}/{version}").ok()["resources"]
    assert [each["kind"] for each in resources if each["kind"] == name] == [name] * (2 if status else 1)
    assert any(each["name"].endswith("/status") for each in resources if each["kind"] == name) is status


def every_verb(space: Space, wanted: Obj, *, spec: Obj | None = None) -> None:
    """On three objects made from `wanted`, all labelled; `spec` is a merge patch of what may be changed."""
    kind, select = kind_of(wanted), {"labelSelector": f"{LABEL}={space.name}"}
    watch = space.watch(kind, **select)
    names = [f"{space.name}-{number}" for number in range(3)]
    for name in names:
        made = copy.deepcopy(wanted)
        made["metadata"] = {**made.get("metadata", {}), "name": name, "labels": {LABEL: space.name}}
        space.create(made)
    added = (each["object"]["metadata"]["name"] for each in watch if each["type"] == "ADDED")
    assert [next(added) for _ in names] == names
    assert space.get(kind, names[0])["metadata"]["uid"]
    assert len(space.list(kind, **select)) == 3
    patch = {"metadata": {"annotations": {"patched": "true"}}, **({"spec": spec} if spec else {})}
    assert space.patch(kind, names[0], patch)["metadata"]["annotations"]["patched"] == "true"
    event = next(each for each in watch if each["object"]["metadata"].get("annotations", {}).get("patched"))
    assert event["type"] == "MODIFIED"

    def put() -> Obj:
        """Again after a conflict: a controller may write its status meanwhile."""
        changed = space.get(kind, names[0])
        changed["metadata"]["annotations"]["updated"] = "true"
        return space.update(changed)

    assert space.wait(put)["metadata"]["annotations"]["updated"] == "true"
    event = next(each for each in watch if each["object"]["metadata"].get("annotations", {}).get("updated"))
    assert event["type"] == "MODIFIED"
    space.delete(kind, names[0])
    assert space.gone(kind, names[0])
    event = next(each for each in watch if each["type"] == "DELETED")
    assert event["object"]["metadata"]["name"] == names[0]
    assert len(space.list(kind, **select)) == 2
    space.http.delete(space.path(kind, **select)).ok()
    assert space.list(kind, **select) == []


def status_verbs(space: Space, kind: str, name: str, condition: Obj) -> None:
    """GET, merge patch and PUT of /status; a condition that somebody writes is kept."""
    patched = space.patch(kind, name, {"status": {"conditions": [condition]}}, sub="status")
    assert condition["type"] in [each["type"] for each in patched["status"]["conditions"]]

    def put() -> Obj:
        present = space.get(kind, name, sub="status")
        present["status"]["conditions"].append({**condition, "type": "Other"})
        return space.update(present, sub="status")

    updated = space.wait(put)
    assert "Other" in [each["type"] for each in updated["status"]["conditions"]]
