"""Which rows have a test: all but those that are named here with the reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.rows import HOME, ROWS

NOT_YET: dict[str, str] = {
    "apps/pdb": "no test yet",
    "architecture/nodes": "no test yet",
    "auth/csr": "no test yet",
    "auth/sar": "no test yet",
    "auth/serviceaccount": "no test yet",
    "cli/kubectl": "no test yet",
    "node/lease": "no test yet",
    "node/node-api": "no test yet",
    "node/podtemplate": "no test yet",
    "node/runtimeclass": "no test yet",
    "node/taints": "no test yet",
    "scheduling/limitrange": "no test yet",
    "scheduling/predicates": "no test yet",
    "scheduling/preemption": "no test yet",
}
"""Why a row (or a whole area) has no test: what of it does not work yet."""


def _texts(path: Path) -> Iterator[str]:
    """All string constants, whole also where they are written in parts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_row_is_walked():
    said = {each for path in HOME.glob("test_*.py") if path.name != "test_rows.py" for each in _texts(path)}
    left = {name: area for name, area in ROWS.items() if name not in said}
    unexplained = [f"{area}: {name}" for name, area in left.items() if not {area, name} & NOT_YET.keys()]
    print(f"{len(ROWS) - len(left)} of {len(ROWS)} rows have a test")
    assert not unexplained, "\n".join(sorted(unexplained))
    walked = [name for name in NOT_YET if name in ROWS and name in said]
    assert not walked, f"they have a test by now: {walked}"
