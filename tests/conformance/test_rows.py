"""Which rows have a test: all but those that are named here with the reason."""

from __future__ import annotations

import importlib

from tests.conformance.rows import HOME, ROWS, WALKED

NOT_YET: dict[str, str] = {}
"""Why a row (or a whole area) has no test: what of it does not work yet."""


def test_every_row_is_walked():
    for path in HOME.glob("test_*.py"):
        importlib.import_module(f"tests.conformance.{path.stem}")
    left = {name: area for name, area in ROWS.items() if name not in WALKED}
    unexplained = [f"{area}: {name}" for name, area in left.items() if not {area, name} & NOT_YET.keys()]
    print(f"{len(ROWS) - len(left)} of {len(ROWS)} rows have a test")
    assert not unexplained, "\n".join(sorted(unexplained))
    walked = [name for name in NOT_YET if name in WALKED]
    assert not walked, f"they have a test by now: {walked}"
