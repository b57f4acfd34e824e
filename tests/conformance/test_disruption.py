"""apps/pdb: budgets, their status, and evictions that wait for them."""

from __future__ import annotations

import pytest

from tests.api.raw import MERGE
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod
from tests.conformance.verbs import check_verbs
from tests.conformance.workloads import wait_pods

pytestmark = pytest.mark.conformance

KIND = "policy/v1/PodDisruptionBudget"
LABELS = {"foo": "bar"}


def budget(name: str = "foo", **spec: object) -> Obj:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": LABELS}, **spec},
    }


def processed(space: Space, **status: object) -> Obj:
    def holds() -> Obj:
        found = space.get(KIND, "foo")
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        assert {field: found["status"][field] for field in status} == status
        return found

    found: Obj = space.wait(holds)
    return found


def run_pods(space: Space, number: int) -> None:
    for index in range(number):
        one = pod(f"pod-{index}")
        one["metadata"]["labels"] = LABELS
        space.create(one)
    wait_pods(space, LABELS, number)


def evict(space: Space, name: str) -> tuple[int, Obj]:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": space.name}}
    answer = space.ask("POST", "v1/Pod", name, eviction, sub="eviction")
    return answer.code, answer.json


@row("DisruptionController should create a PodDisruptionBudget")
def test_a_budget_is_made_put_patched_and_deleted(space: Space):
    space.create(budget(minAvailable="1%"))
    made = processed(space)
    made["spec"]["minAvailable"] = "2%"
    assert space.update(made)["spec"]["minAvailable"] == "2%"
    processed(space)
    assert space.patch(KIND, "foo", {"spec": {"minAvailable": "3%"}})["spec"]["minAvailable"] == "3%"
    processed(space)
    space.delete(KIND, "foo")
    assert space.gone(KIND, "foo")


@row(
    "DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets"
)
def test_budgets_of_all_namespaces_are_listed_and_a_collection_deleted(space: Space):
    check_verbs(space, lambda name: budget(name, minAvailable="1%"))


@row("DisruptionController should observe PodDisruptionBudget status updated")
def test_the_status_says_what_is_allowed(space: Space):
    space.create(budget(minAvailable=1))
    processed(space, disruptionsAllowed=0, currentHealthy=0)
    run_pods(space, 3)
    found = processed(space, disruptionsAllowed=2, currentHealthy=3, desiredHealthy=1, expectedPods=3)
    [condition] = found["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "True",
        "SufficientPods",
    )


@row("DisruptionController should update/patch PodDisruptionBudget status")
def test_the_status_is_put_and_patched(space: Space):
    space.create(budget(minAvailable=1))
    run_pods(space, 3)
    processed(space, disruptionsAllowed=2)

    def put() -> Obj:
        fresh = space.get(KIND, "foo")
        fresh["status"]["disruptedPods"] = {"pod-0": space.get("v1/Pod", "pod-0")["metadata"]["creationTimestamp"]}
        return space.update(fresh, sub="status")

    assert list(space.wait(put)["status"]["disruptedPods"]) == ["pod-0"]
    processed(space, disruptionsAllowed=1)
    patched = space.patch(KIND, "foo", {"status": {"disruptedPods": None}}, type=MERGE, sub="status")
    assert not patched["status"].get("disruptedPods")
    assert space.get(KIND, "foo", sub="status")["metadata"]["uid"] == patched["metadata"]["uid"]


@row("DisruptionController should block an eviction until the PDB is updated to allow it")
def test_an_eviction_waits_for_its_budget(space: Space):
    space.create(budget(minAvailable=3))
    run_pods(space, 3)
    processed(space, currentHealthy=3)
    code, refused = evict(space, "pod-0")
    assert (code, refused["reason"]) == (429, "TooManyRequests")
    assert refused["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    [cause] = refused["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget foo needs 3 healthy pods and has 3 currently"
    space.patch(KIND, "foo", {"spec": {"minAvailable": 2}})
    processed(space, disruptionsAllowed=1)
    assert evict(space, "pod-0")[0] == 201
    space.wait(lambda: space.gone("v1/Pod", "pod-0"))
    space.patch(KIND, "foo", {"spec": {"minAvailable": 3}})
    processed(space, currentHealthy=2)
    assert evict(space, "pod-1")[0] == 429
    space.delete(KIND, "foo")
    assert space.wait(lambda: evict(space, "pod-1")[0] == 201)
