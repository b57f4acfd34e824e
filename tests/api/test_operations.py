"""Every kind answers every verb, its status too, as the conformance suite's "API operations" tests ask it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from minikube.resources.base import Kind
from tests.api.conftest import Cluster
from tests.api.kinds import LABEL, SERVED, manifest, name_of
from tests.api.raw import Http


@pytest.fixture(scope="module")
def http(shared: Cluster) -> Http:
    return Http(shared.kubeconfig)


@pytest.fixture(scope="module")
def namespace(http: Http, worker_id: str) -> Iterator[str]:
    name = f"operations-{worker_id}"
    http.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok(201)
    yield name
    http.delete(f"/api/v1/namespaces/{name}").ok()


@pytest.fixture
def collection(http: Http, namespace: str, kind: Kind) -> Iterator[str]:
    """The path of the kind's collection, in the tests' namespace where there is one."""
    resource = kind.resource
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    where = f"/namespaces/{namespace}" if resource.namespaced else ""
    yield f"{root}{where}/{resource.plural}"
    http.delete(f"{root}{where}/{resource.plural}?labelSelector={LABEL}")


def _identity(kind: Kind) -> str:
    return f"{kind.resource.api_version}.{kind.resource.kind}"


@pytest.mark.parametrize("kind", SERVED, ids=_identity)
def test_a_kind_answers_every_verb(http: Http, kind: Kind, namespace: str, collection: str) -> None:
    everywhere = (
        collection.split("/namespaces/")[0] + "/" + kind.resource.plural if kind.resource.namespaced else ""
    )
    assert http.get(f"{collection}?labelSelector={LABEL}").ok()["items"] == []
    for number in range(3):
        made = http.post(f"{collection}?fieldValidation=Strict", manifest(kind, number, namespace)).ok(201)
        assert made["metadata"]["uid"]
        assert (made["kind"], made["apiVersion"]) == (kind.resource.kind, kind.resource.api_version)
    listing = http.get(f"{collection}?labelSelector={LABEL}").ok()
    assert len(listing["items"]) == 3
    if everywhere:
        assert len(http.get(f"{everywhere}?labelSelector={LABEL}").ok()["items"]) == 3
    table = http.get(collection, accept="application/json;as=Table;v=v1;g=meta.k8s.io").ok()
    assert table["kind"] == "Table"
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])

    one = f"{collection}/{name_of(kind, 0)}"
    assert http.patch(one, {"metadata": {"annotations": {"patched": "true"}}}).ok()["metadata"]["annotations"][
        "patched"
    ]
    for _ in range(5):
        present = http.get(one).ok()
        present["metadata"].setdefault("annotations", {})["updated"] = "true"
        answered = http.put(one, present)
        if answered.code != 409:
            break
    assert answered.ok()["metadata"]["annotations"]["updated"] == "true"
    if kind.status:
        _status(http, kind, one)

    http.delete(one, {"gracePeriodSeconds": 0}).ok()
    revision = listing["metadata"]["resourceVersion"]
    query = f"labelSelector={LABEL}&resourceVersion={revision}&timeoutSeconds=1"
    types = [(e["type"], e["object"]["metadata"]["name"]) for e in http.events(f"{collection}?watch=1&{query}")]
    assert ("MODIFIED", name_of(kind, 0)) in types
    if kind.resource.kind not in ("Namespace", "CustomResourceDefinition"):
        assert ("DELETED", name_of(kind, 0)) in types
    http.delete(f"{collection}?labelSelector={LABEL}", {"gracePeriodSeconds": 0}).ok()
    _empty(http, f"{collection}?labelSelector={LABEL}&resourceVersion=")


def _status(http: Http, kind: Kind, one: str) -> None:
    """Get, patch and put of /status."""
    assert http.get(f"{one}/status").ok()["kind"] == kind.resource.kind
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {}}
    patched = http.patch(f"{one}/status", patch).ok()
    if "annotations" in kind.status_metadata:
        assert patched["metadata"]["annotations"]["patchedstatus"] == "true"
    else:
        assert "patchedstatus" not in patched["metadata"].get("annotations", {})
    for _ in range(5):
        present = http.get(f"{one}/status").ok()
        present["metadata"].setdefault("annotations", {})["updatedstatus"] = "true"
        present.setdefault("spec", {})["nonsense"] = 1
        answered = http.put(f"{one}/status?fieldValidation=Ignore", present)
        if answered.code != 409:
            break
    assert answered.ok()["metadata"]["name"] == present["metadata"]["name"]


def _empty(http: Http, path: str) -> None:
    deadline = time.monotonic() + 20
    while left := http.get(path).ok()["items"]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
