"""Which validation rules have a case in the tables: `python -m tests.unit.resources.coverage [-v]`.

A rule is a call in minikube/resources/rules/ of a function of `invalid` that makes field errors; it has a case when
running the tables makes one there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from minikube.errors import FieldError
from minikube.resources.rules import invalid

HOME = Path(invalid.__file__).parent
MAKERS = {
    "required", "invalid", "not_supported", "one_of", "duplicate", "forbidden",
    "not_found", "too_long", "too_many", "immutable", "not_negative",
}  # fmt: skip
Rule = tuple[str, int, int]
"""(module, first line, last line)"""


def rules() -> dict[Rule, str]:
    """Every rule and its source on one line."""
    found = {}
    for path in sorted(HOME.rglob("*.py")):
        if path.name == "invalid.py":
            continue
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                source = " ".join((ast.get_source_segment(text, node) or "").split())
                found[_module(path), node.lineno, node.end_lineno or node.lineno] = source
    return found


def _module(path: Path) -> str:
    return str(path.relative_to(HOME).with_suffix(""))


def fired(run: Callable[[], object]) -> set[tuple[str, int]]:
    """(module, line) of every call that made an error while `run` ran."""
    seen: set[tuple[str, int]] = set()

    def profile(frame: FrameType, event: str, result: Any) -> None:
        caller = frame.f_back
        made = event == "return" and (isinstance(result, FieldError) or (isinstance(result, list) and result))
        if made and caller is not None and frame.f_code.co_filename == invalid.__file__:
            path = Path(caller.f_code.co_filename)
            if HOME in path.parents:
                seen.add((_module(path), caller.f_lineno))

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return seen


def missing(lines: Iterable[tuple[str, int]]) -> dict[Rule, str]:
    """The rules that have no case."""
    at = set(lines)
    return {
        rule: source
        for rule, source in rules().items()
        if not any((rule[0], line) in at for line in range(rule[1], rule[2] + 1))
    }


def run_tables() -> None:
    from tests.unit.resources import test_rules
    from tests.unit.resources.objects import errors_of_new, errors_of_update
    from tests.unit.resources.rules import test_pod
    from tests.unit.resources.table import CASES, errors_of

    for case in CASES:
        errors_of(case)
    for changes, _ in test_pod.RULES:
        errors_of_new("Pod", changes)
    for kind, changes, _ in test_rules.RULES:
        errors_of_new(kind, changes)
    for kind, before, changes, _ in test_rules.UPDATES:
        errors_of_update(kind, before, changes)


def report(*, verbose: bool) -> None:
    without = missing(fired(run_tables))
    everything = rules()
    for module in sorted({rule[0] for rule in everything}):
        total = sum(rule[0] == module for rule in everything)
        left = [(rule, source) for rule, source in without.items() if rule[0] == module]
        print(f"{module:24} {total - len(left):4} of {total:4} rules have a case")
        if verbose:
            for (_, line, _), source in sorted(left):
                print(f"    {line}: {source[:110]}")
    print(f"{'all':24} {len(everything) - len(without):4} of {len(everything):4} rules have a case")


if __name__ == "__main__":
    report(verbose="-v" in sys.argv)
