"""The table of validation in `validation/*.yaml`: kind x what is wrong x what is said of it.

kind: Service
set: {"spec.ports": []}                   a new object that is valid but for this (null: without the field)
from: {...}                               or an object that has this,
to: {...}                                 and an update to this,
through: status                           if need be through this subresource
says: "spec.ports: Required value"        one message, or all of them

{"times": 65, "of": "x"} is 65 of that: a longer string, or a list, in which # is the number of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.unit.resources.objects import GONE, errors_of_new, errors_of_update


class Case(msgspec.Struct, frozen=True, rename={"before": "from"}):
    kind: str
    says: str | list[str]
    set: dict[str, Any] = {}
    before: dict[str, Any] = {}
    to: dict[str, Any] = {}
    through: str = ""
    area: str = ""

    @property
    def messages(self) -> list[str]:
        return [self.says] if isinstance(self.says, str) else self.says

    def __str__(self) -> str:
        return f"{self.kind}-{self.messages[0].partition(':')[0] if self.messages else 'nothing'}"


def cases(folder: str) -> list[Case]:
    found = []
    for path in sorted((Path(__file__).parent / folder).glob("*.yaml")):
        rows = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        found += [msgspec.convert({**row, "area": path.stem}, Case) for row in rows]
    return found


def errors_of(case: Case) -> list[str]:
    """What validation says, of an update beyond what it says of none."""
    if not case.to:
        return errors_of_new(case.kind, changes_of(case.set))
    before = changes_of(case.before)
    known = errors_of_update(case.kind, before, {}, through=case.through)
    found = errors_of_update(case.kind, before, changes_of(case.to), through=case.through)
    return [one for one in found if one not in known]


def changes_of(given: dict[str, Any]) -> dict[str, Any]:
    return {path: GONE if value is None else _written_out(value) for path, value in given.items()}


def _written_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_written_out(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {"times", "of"}:
        return {name: _written_out(one) for name, one in value.items()}
    if isinstance(value["of"], str) and "#" not in value["of"]:
        return value["of"] * value["times"]
    return [_numbered(value["of"], str(number)) for number in range(value["times"])]


def _numbered(value: Any, number: str) -> Any:
    if isinstance(value, str):
        return value.replace("#", number)
    if isinstance(value, list):
        return [_numbered(one, number) for one in value]
    return (
        {_numbered(name, number): _numbered(one, number) for name, one in value.items()}
        if isinstance(value, dict)
        else value
    )


CASES = cases("validation")
