"""What a node writes of its status."""

from __future__ import annotations

from minikube.node.node_status import difference


def test_only_what_changed_is_written_and_what_is_gone_is_taken_away():
    old = {
        "capacity": {"cpu": "2", "example.com/gpu": "1"},
        "allocatable": {"cpu": "2", "example.com/gpu": "1", "example.com/gone": "3"},
        "nodeInfo": {"bootID": "a"},
        "conditions": [{"type": "Ready", "status": "False"}],
    }
    new = {
        "capacity": {"cpu": "4", "example.com/gpu": "1"},
        "allocatable": {"cpu": "4", "example.com/gpu": "1"},
        "nodeInfo": {"bootID": "a"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(old, new) == {
        "capacity": {"cpu": "4"},
        "allocatable": {"cpu": "4", "example.com/gone": None},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(new, new) == {}
    assert difference({}, {"images": []}) == {"images": []}
