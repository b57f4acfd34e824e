"""What a write through a subresource comes to."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from minikube.registry.splitting import split
from tests.unit.resources.objects import kind_of

POD: dict[str, Any] = {
    "metadata": {"name": "p", "labels": {"a": "b"}, "ownerReferences": [{"name": "o"}]},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i", "resources": {}}]},
    "status": {"phase": "Running"},
}


def everything_else() -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "labels": {"x": "y"}},
        "spec": {
            "nodeName": "other",
            "containers": [{"name": "c", "image": "other", "resources": {"requests": {"cpu": "1"}}}, {"name": "d"}],
            "ephemeralContainers": [{"name": "e"}],
        },
        "status": {"phase": "Failed"},
    }


def merged(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(POD), **changes}


@pytest.mark.parametrize(
    ("subresource", "made"),
    [
        ("", {**everything_else(), "status": POD["status"]}),
        ("status", merged(status={"phase": "Failed"}, metadata={**POD["metadata"], "labels": {"x": "y"}})),
        ("ephemeralcontainers", merged(spec={**POD["spec"], "ephemeralContainers": [{"name": "e"}]})),
        (
            "resize",
            merged(
                spec={
                    **POD["spec"],
                    "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}],
                }
            ),
        ),
    ],
)
def test_a_write_changes_only_its_part(subresource: str, made: dict[str, Any]):
    old = copy.deepcopy(POD)
    assert split(kind_of("Pod"), everything_else(), old, subresource) == made
    assert old == POD


def test_finalizing_changes_finalizers_alone():
    old = {"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    new = {"metadata": {"name": "n"}, "spec": {"finalizers": ["a.b/c"]}, "status": {"phase": "Terminating"}}
    assert split(kind_of("Namespace"), new, old, "finalize") == {**old, "spec": new["spec"]}


def test_resources_of_a_whole_pod_change_by_a_resize_but_neither_come_nor_go():
    asked, more = {"resources": {"requests": {"cpu": "1"}}}, {"resources": {"requests": {"cpu": "2"}}}
    for was, wanted, comes_to in ((asked, more, more), (asked, {}, asked), ({}, more, {})):
        old, new = merged(spec={**POD["spec"], **was}), merged(spec={**POD["spec"], **wanted})
        assert split(kind_of("Pod"), new, old, "resize") == merged(spec={**POD["spec"], **comes_to})
