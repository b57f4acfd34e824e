"""The form of log lines: one message, one line, whatever strangers have put into it."""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"
_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


class OneLine(logging.Formatter):
    """A path or header that is logged cannot begin a line of its own, nor command a terminal. Tracebacks follow in
    lines of theirs."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_ESCAPED)
