"""Regular expressions as Go reads them: RE2's syntax, searched in linear time whatever pattern and text are.

The engine (2 MB) is loaded with the first pattern that is used.
"""

from __future__ import annotations

from collections.abc import Iterator
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
