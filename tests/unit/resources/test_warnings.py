"""Every row of the tables of warnings in `warnings/*.yaml`: kind x condition x what is told.

A row has the form of those of validation (see table.py); `says: []` where nothing is to be told.
"""

from __future__ import annotations

import pytest

from minikube.api.meta import from_dict
from minikube.registry import metadata
from minikube.resources.all import ALL
from minikube.resources.base import Strategy
from tests.unit.resources.objects import changed, complete, kind_of
from tests.unit.resources.table import Case, cases, changes_of

CASES = cases("warnings")


def told(case: Case) -> list[str]:
    """What clients are told when they write it; that the object is valid is part of the row."""
    kind = kind_of(case.kind)
    strategy = kind.strategy
    if not case.to:
        new = from_dict(kind.type, complete(case.kind, changes_of(case.set)))
        assert list(strategy.validate(new, None)) == []
        return list(strategy.warnings(new, None))
    before = changed(complete(case.kind, {}), changes_of(case.before))
    after = changed(before, changes_of(case.to))
    if not case.through:
        strategy.prepare_update(after, before)
        metadata.count(kind, after, before)
    old, new = from_dict(kind.type, before), from_dict(kind.type, after)
    if case.through == "status":
        assert list(strategy.validate_status(new, old)) == []
        return list(strategy.status_warnings(new, old))
    assert list(strategy.validate(new, old)) == []
    return list(strategy.warnings(new, old))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_valid_but_unwise_is_told_in_these_words(case: Case):
    assert told(case) == case.messages


def test_every_kind_that_warns_has_a_row():
    warning = {
        kind.resource.kind
        for kind in ALL
        if type(kind.strategy).warnings is not Strategy.warnings
        or type(kind.strategy).status_warnings is not Strategy.status_warnings
    }
    assert warning <= {case.kind for case in CASES if case.messages}
