"""Every row of the table of validation, and what of the rules it covers."""

from __future__ import annotations

import pytest

from tests.unit.resources import coverage
from tests.unit.resources.table import CASES, Case, errors_of


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_object_is_refused_in_these_words(case: Case):
    assert errors_of(case) == case.messages


def test_every_rule_has_a_case():
    without = coverage.missing(coverage.fired(coverage.run_tables))
    assert not without, "\n".join(f"{module}:{line} {source}" for (module, line, _), source in without.items())
