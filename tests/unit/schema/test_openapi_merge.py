"""Documents of several servers put together: what counts, and what happens to names that are taken."""

from __future__ import annotations

from typing import Any

from minikube.schema.openapi_merge import merged, part_of


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def path(name: str) -> dict[str, Any]:
    return {"get": {"parameters": [{"schema": ref(name)}]}}


OURS: dict[str, Any] = {"paths": {"/a": path("A")}, "definitions": {"A": {"type": "object"}, "Same": {"x": 1}}}


def test_a_part_has_its_own_paths_and_all_that_they_lead_to() -> None:
    circle = {"properties": {"next": ref("Node"), "meta": ref("Meta"), "gone": ref("Gone")}}
    document = {
        "paths": {"/apis/g/v1/x": path("Node"), "/apis/g/v1beta1/x": path("Other"), "/apis/g/v1": path("Node")},
        "definitions": {"Node": circle, "Meta": {"type": "object"}, "Other": {"type": "string"}},
    }
    part = part_of(document, "apis/g/v1")
    assert set(part["paths"]) == {"/apis/g/v1/x", "/apis/g/v1"}
    assert part["definitions"] == {"Node": circle, "Meta": {"type": "object"}}
    assert part_of({}, "apis/g/v1") == {"paths": {}, "definitions": {}}


def test_a_name_that_means_something_else_is_changed_with_all_that_refer_to_it() -> None:
    part = {
        "paths": {"/b": path("A"), "/a": path("B")},
        "definitions": {"A": {"items": ref("A")}, "B": ref("Same"), "Same": {"x": 1}},
    }
    other = {"paths": {"/c": path("A")}, "definitions": {"A": {"type": "string"}}}
    found = merged({**OURS, "swagger": "2.0"}, [part, other])
    assert found == {
        "swagger": "2.0",
        "paths": {"/a": path("A"), "/b": path("A_v2"), "/c": path("A_v3")},
        "definitions": {
            "A": {"type": "object"},
            "A_v2": {"items": ref("A_v2")},
            "A_v3": {"type": "string"},
            "B": ref("Same"),
            "Same": {"x": 1},
        },
    }
    assert OURS["paths"] == {"/a": path("A")}


def test_the_same_definition_of_two_servers_is_there_once() -> None:
    part = {"paths": {}, "definitions": {"Same": {"x": 1}}}
    assert merged(OURS, [part, part])["definitions"] == OURS["definitions"]
