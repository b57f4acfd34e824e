"""What rules lack of other rules."""

from __future__ import annotations

import pytest

from minikube.api.rbac_v1 import PolicyRule
from minikube.auth.coverage import compact, described, uncovered
from minikube.auth.policy_rules import everything, paths, rule


def test_a_rule_is_covered_by_several_others_together() -> None:
    one, two = rule("get", "core", "pods"), rule("list", "core", "pods")
    both = rule("get list", "core", "pods")
    assert uncovered([one, two], [both]) == []
    assert uncovered([one], [both]) == [two]


@pytest.mark.parametrize(
    ("owned", "wanted", "covered"),
    [
        (rule("get", "core", "pods"), rule("get", "*", "pods"), False),
        (rule("*", "*", "*"), rule("get", "*", "pods/log"), True),
        (rule("get", "apps", "*/scale"), rule("get", "apps", "deployments/scale"), True),
        (rule("get", "apps", "*/scale"), rule("get", "apps", "*"), False),
        (rule("get", "core", "secrets", "a"), rule("get", "core", "secrets"), False),
        (rule("get", "core", "secrets"), rule("get", "core", "secrets", "a"), True),
        (rule("get", "core", "secrets", "a"), rule("get", "core", "secrets", "a", "b"), False),
        (paths("/api/*"), paths("/api/v1"), True),
        (paths("/api"), paths("/api/v1"), False),
        (everything()[0], paths("/api"), False),
    ],
)
def test_what_is_covered(owned: PolicyRule, wanted: PolicyRule, covered: bool) -> None:
    assert (uncovered([owned], [wanted]) == []) is covered


def test_what_is_missing_is_told_in_few_words() -> None:
    missing = compact(uncovered([], [rule("get list", "core", "pods secrets"), paths("/x")]))
    assert [described(one) for one in missing] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
        '{NonResourceURLs:["/x"], Verbs:["get"]}',
    ]
