"""api-machinery/namespace: what a namespace carries, and that nothing of it outlives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod

pytestmark = pytest.mark.conformance
KIND = "v1/Namespace"


@pytest.fixture
def other(space: Space) -> Iterator[Space]:
    found = space.another()
    make(found)
    yield found
    space.ask("DELETE", KIND, found.name)


def make(space: Space) -> None:
    space.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name}})
    space.wait(lambda: space.get("v1/ServiceAccount", "default"))


def made_anew(space: Space) -> None:
    space.delete(KIND, space.name)
    space.wait(lambda: space.gone(KIND, space.name))
    make(space)


@row("Namespaces should ensure that all pods are removed when a namespace is deleted")
def test_pods_go_with_their_namespace(other: Space):
    other.run(pod("test-pod"))
    made_anew(other)
    assert other.gone("v1/Pod", "test-pod")


@row("Namespaces should ensure that all services are removed when a namespace is deleted")
def test_services_go_with_their_namespace(other: Space):
    ports = [{"port": 80, "targetPort": 80}]
    other.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "test-service"},
            "spec": {"selector": {"foo": "bar", "baz": "blah"}, "ports": ports},
        }
    )
    made_anew(other)
    assert other.gone("v1/Service", "test-service")


@row("Namespaces should patch a Namespace", "Namespaces should apply an update to a Namespace")
def test_labels_are_patched_and_put(other: Space):
    patched = other.patch(KIND, other.name, {"metadata": {"labels": {"testLabel": "testValue"}}}, type=STRATEGIC)
    assert patched["metadata"]["labels"]["testLabel"] == "testValue"
    assert other.get(KIND, other.name)["metadata"]["labels"]["testLabel"] == "testValue"

    def put() -> Obj:
        present = other.get(KIND, other.name)
        present["metadata"]["labels"][other.name] = "updated"
        return other.update(present)

    assert other.wait(put)["metadata"]["labels"][other.name] == "updated"


@row("Namespaces should apply changes to a namespace status")
def test_conditions_are_patched_and_put(other: Space):
    assert other.get(KIND, other.name, sub="status")["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}
    patched = other.patch(KIND, other.name, {"status": {"conditions": [condition]}}, sub="status")
    assert patched["status"]["phase"] == "Active"
    assert condition.items() <= patched["status"]["conditions"][0].items()
    present = other.get(KIND, other.name, sub="status")
    present["status"]["conditions"].append(
        {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Updated by an e2e test"}
    )
    updated = other.update(present, sub="status")
    assert [each["type"] for each in updated["status"]["conditions"]] == ["StatusPatch", "StatusUpdate"]


@row("Namespaces should apply a finalizer to a Namespace")
def test_a_finalizer_is_put_by_finalize_and_holds_the_namespace(other: Space):
    present = other.get(KIND, other.name)
    assert present["spec"]["finalizers"] == ["kubernetes"]
    present["spec"]["finalizers"].append("e2e.example.com/fakeFinalizer")
    updated = other.ask("PUT", KIND, other.name, present, sub="finalize").ok()
    assert updated["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/fakeFinalizer"]
    other.delete(KIND, other.name)

    def let_go() -> Obj:
        present = other.get(KIND, other.name)
        assert present["status"]["phase"] == "Terminating"
        assert "kubernetes" not in present["spec"]["finalizers"]
        present["spec"]["finalizers"] = []
        return other.ask("PUT", KIND, other.name, present, sub="finalize").ok()

    other.wait(let_go)
    other.wait(lambda: other.gone(KIND, other.name))
