"""Strategic merge patch: keyed lists, directives and order."""

from typing import Any

import pytest

from minikube.schema.patch import PatchError
from minikube.schema.strategic import strategic_merge
from minikube.schema.structure import builtin

POD = builtin("io.k8s.api.core.v1.Pod")
SERVICE = builtin("io.k8s.api.core.v1.Service")


def spec(original: dict[str, Any], patch: dict[str, Any]) -> Any:
    return strategic_merge({"spec": original}, {"spec": patch}, POD)["spec"]


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


def test_elements_merge_by_key_and_new_ones_come_first() -> None:
    merged = spec(
        {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}]},
        {"containers": [{"name": "b", "image": "2"}, {"name": "a", "env": [{"name": "Y", "value": "2"}]}]},
    )
    assert names(merged["containers"]) == ["b", "a"]
    assert merged["containers"][1] == {
        "name": "a",
        "image": "1",
        "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}],
    }


def test_the_order_the_client_saw_is_kept_around_elements_only_the_server_has() -> None:
    merged = spec(
        {"containers": [{"name": "a"}, {"name": "injected"}, {"name": "c"}]},
        {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
            "containers": [{"name": "b", "image": "2"}],
        },
    )
    assert names(merged["containers"]) == ["a", "b", "injected", "c"]


def test_an_element_is_deleted_and_a_list_replaced_by_directive() -> None:
    original = {"containers": [{"name": "a"}, {"name": "b"}]}
    assert names(spec(original, {"containers": [{"name": "a", "$patch": "delete"}]})["containers"]) == ["b"]
    replaced = spec(original, {"containers": [{"$patch": "replace"}, {"name": "z"}]})
    assert replaced["containers"] == [{"name": "z"}]


def test_a_map_is_replaced_or_deleted_by_directive() -> None:
    original = {"securityContext": {"runAsUser": 1, "fsGroup": 2}}
    assert spec(original, {"securityContext": {"$patch": "replace", "fsGroup": 3}}) == {
        "securityContext": {"fsGroup": 3}
    }
    assert spec(original, {"securityContext": {"$patch": "delete"}}) == {"securityContext": {}}


def test_retained_keys_are_all_that_is_left_of_a_union() -> None:
    merged = spec(
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]},
    )
    assert merged["volumes"] == [{"name": "v", "secret": {"secretName": "s"}}]


def test_primitives_are_added_deleted_and_ordered() -> None:
    original = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["b"],
            "$setElementOrder/finalizers": ["a", "d", "c"],
            "finalizers": ["d"],
        }
    }
    assert strategic_merge(original, patch, POD) == {"metadata": {"finalizers": ["a", "d", "c"]}}


def test_null_removes_and_lists_without_a_merge_key_are_replaced() -> None:
    merged = spec(
        {"nodeName": "n", "tolerations": [{"key": "a"}]}, {"nodeName": None, "tolerations": [{"key": "b"}]}
    )
    assert merged == {"tolerations": [{"key": "b"}]}


def test_nulls_in_what_is_new_are_left_out() -> None:
    assert spec({}, {"affinity": {"nodeAffinity": None, "podAffinity": {}}}) == {"affinity": {"podAffinity": {}}}


def test_the_original_is_never_changed() -> None:
    original = {"spec": {"containers": [{"name": "a", "env": [{"name": "X"}]}]}}
    strategic_merge(original, {"spec": {"containers": [{"name": "a", "env": [{"name": "Y"}]}]}}, POD)
    assert original == {"spec": {"containers": [{"name": "a", "env": [{"name": "X"}]}]}}


@pytest.mark.parametrize(
    "patch",
    [
        {"containers": [{"image": "no key"}]},
        {"securityContext": {"$patch": "explode"}},
        {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]},
    ],
)
def test_patches_without_sense_are_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        spec({"containers": [{"name": "a"}]}, patch)


def test_service_ports_merge_by_port() -> None:
    merged = strategic_merge(
        {"spec": {"ports": [{"port": 80, "name": "a"}]}},
        {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}},
        SERVICE,
    )
    assert merged["spec"]["ports"] == [{"port": 80, "name": "a", "nodePort": 30000}]
