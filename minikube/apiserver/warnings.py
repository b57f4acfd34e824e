"""What clients are told beside the answer, as Warning headers (apiserver's warning recorder)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from aiohttp import web

WARNINGS = web.RequestKey("warnings", list[str])
"""Everything to tell about this request, filled while it is worked on."""
MOST_IN_ALL, MOST_OF_ONE = 4096, 256
"""Characters; each text is cut only when all of them are too long together."""


def warning_headers(warnings: list[str]) -> Iterator[str]:
    """Each text once, without those that no header can carry."""
    texts = [text for text in dict.fromkeys(warnings) if text and not _unsendable(text)]
    fitting = _fitting(texts)
    if fitting == len(texts):
        yield from map(_header, texts)
        return
    written = 0
    for index, text in enumerate(texts):
        if index > fitting and written >= MOST_IN_ALL:
            return
        cut = text[:MOST_OF_ONE]
        written += len(cut)
        yield _header(cut)


def _fitting(texts: Sequence[str]) -> int:
    """How many of them fit uncut."""
    written = 0
    for index, text in enumerate(texts):
        written += len(text)
        if written > MOST_IN_ALL:
            return index
    return len(texts)


def _unsendable(text: str) -> bool:
    return any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)


def _header(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'
