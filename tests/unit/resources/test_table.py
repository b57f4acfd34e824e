"""Every row of the table of validation, and what of the rules it covers."""

from __future__ import annotations

import pytest

from tests.unit.resources import coverage
from tests.unit.resources.table import CASES, Case, errors_of


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_object_is_refused_in_these_words(case: Case):
    assert errors_of(case) == case.messages


WITHOUT_A_CASE = 35
"""Lower it when the table grows; `python -m tests.unit.resources.coverage -v` names them."""


def test_rules_that_had_a_case_keep_one():
    everything = coverage.rules()
    without = coverage.missing(coverage.fired(coverage.run_tables))
    print(f"{len(everything) - len(without)} of {len(everything)} validation rules have a case")
    named = [f"{module}:{line} {source}" for (module, line, _), source in without.items()]
    assert len(without) <= WITHOUT_A_CASE, "\n".join(named)
