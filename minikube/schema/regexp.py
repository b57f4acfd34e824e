"""Regular expressions as Go reads them: RE2's syntax, searched in linear time whatever pattern and text are.

The engine (2 MB) is loaded with the first pattern that is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

_WORDS = {
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
}
"""What RE2 says, and how Go says the same."""

_GROUP = re.compile(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<name>\w+))")


class Regexp:
    """A pattern, compiled when it is first needed."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        self.source = source

    def found_in(self, text: str) -> bool:
        """Anywhere in it. Raises ValueError: no pattern."""
        return _compiled(self.source).search(text.encode()) is not None

    def all_in(self, text: str) -> Iterator[str]:
        """The matches in order. Raises ValueError: no pattern."""
        return (match.group(0) for match in _compiled(self.source).finditer(text))

    def replaced_in(self, text: str, template: str) -> str:
        """All its matches; $1, $name and ${name} in the template are groups, $$ is a dollar (Regexp.Expand of Go).
        Raises ValueError: no pattern."""
        pattern = _compiled(self.source)
        done, at = "", 0
        raw = text.encode()
        for match in pattern.finditer(raw):
            done += raw[at : match.start()].decode() + _expanded(template, match, pattern.groupindex)
            at = match.end()
        return done + raw[at:].decode()


def _expanded(template: str, match: Any, names: Mapping[str, int]) -> str:
    def group(found: re.Match[str]) -> str:
        name = found.group("braced") or found.group("name") or ""
        if found.group() == "$$":
            return "$"
        number = int(name) if name.isdigit() else names.get(name, -1)
        known = 0 <= number <= len(match.groups())
        return (match.group(number) or b"").decode() if known else ""

    return _GROUP.sub(group, template)


def problem(pattern: str) -> str:
    """Why it is no pattern, in the words of Go's regexp package; empty if it is one."""
    try:
        _compiled(pattern)
    except ValueError as error:
        return str(error)
    return ""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    import re2

    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        said = error.args[0].decode() if error.args else ""
        code, _, where = said.partition(": ")
        raise ValueError(f"error parsing regexp: {_WORDS.get(code, code)}: `{where}`") from error


@cache
def _options() -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    return options
