"""api-machinery/flowcontrol: flow schemas and priority levels as objects."""

from __future__ import annotations

import pytest

from tests.conformance.operations import every_verb, listed_in_discovery, status_verbs
from tests.conformance.rows import row
from tests.conformance.space import Space

pytestmark = pytest.mark.conformance
GROUP = "flowcontrol.apiserver.k8s.io/v1"


def condition(type: str) -> dict[str, str]:
    return {
        "type": type,
        "status": "False",
        "reason": "E2E",
        "message": "Set by an e2e test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


@row("API priority and fairness should support FlowSchema API operations")
def test_flow_schemas_answer_every_verb(space: Space):
    kind = f"{GROUP}/FlowSchema"
    subject = {"kind": "User", "user": {"name": space.name}}
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": [space.name]}
    wanted = {
        "apiVersion": GROUP,
        "kind": "FlowSchema",
        "spec": {
            "matchingPrecedence": 10000,
            "priorityLevelConfiguration": {"name": "global-default"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": [subject], "resourceRules": [rule]}],
        },
    }
    listed_in_discovery(space, kind, status=True)
    every_verb(space, wanted, spec={"matchingPrecedence": 9999})
    space.create({**wanted, "metadata": {"name": space.name}})
    status_verbs(space, kind, space.name, condition("FooPatch"))
    space.delete(kind, space.name)


@row("API priority and fairness should support PriorityLevelConfiguration API operations")
def test_priority_levels_answer_every_verb(space: Space):
    kind = f"{GROUP}/PriorityLevelConfiguration"
    wanted = {
        "apiVersion": GROUP,
        "kind": "PriorityLevelConfiguration",
        "spec": {
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
        },
    }
    listed_in_discovery(space, kind, status=True)
    every_verb(space, wanted, spec={"limited": {"nominalConcurrencyShares": 4}})
    space.create({**wanted, "metadata": {"name": space.name}})
    status_verbs(space, kind, space.name, condition("FooPatch"))
    space.delete(kind, space.name)
