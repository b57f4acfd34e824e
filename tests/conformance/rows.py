"""The rows of the upstream conformance suite, and the mark that says which of them a test walks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parent


def _rows() -> Iterator[tuple[str, str]]:
    for line in (HOME / "rows.tsv").read_text().splitlines():
        area, name = line.split("\t")
        yield re.sub(r"\[[^]]*\] ?", "", name).strip(), area


ROWS = dict(_rows())
"""Area by name, the name without its tags in brackets."""
WALKED: set[str] = set()
"""Names that the test modules imported so far have said in `row`."""


WALKED: set[str] = set()
"""The rows of all tests that have been imported."""


def row(*names: str) -> pytest.MarkDecorator:
    """Marks a test (or one of its parameters) as walking these rows; an unknown name fails at import."""
    unknown = [name for name in names if name not in ROWS]
    assert not unknown, f"not in rows.tsv: {unknown}"
    WALKED.update(names)
    return pytest.mark.row(*names)
