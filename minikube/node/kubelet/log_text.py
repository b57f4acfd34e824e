"""Lines of a container's log as kubectl wants them; the runtime writes `<RFC 3339 nano> stdout|stderr F|P <text>`.

Works on whole blocks with the loops of C. Rules: k8s.io/cri-client/pkg/logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter

import msgspec

NEWLINE = ord("\n")
AT_ONCE = 8
"""Whole lines that are matched in one go: each go costs as much as a line."""
STAMP_BYTES = len("2026-01-01T00:00:00.000000000Z ")
_STREAMS = {"All": b"std(?:out|err)", "Stdout": b"stdout", "Stderr": b"stderr"}
_TIME = re.compile(rb"(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d) ")
_last = itemgetter(-1)

Block = bytes | memoryview


class Wanted(msgspec.Struct, frozen=True):
    """v1.PodLogOptions."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None
    """Bytes of output."""
    stream: str = "All"
    """All, Stdout or Stderr."""


def moment(text: str) -> datetime:
    """Any RFC 3339 time; nanoseconds are cut to microseconds. Raises ValueError."""
    found = re.fullmatch(r"(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    return datetime.fromisoformat(f"{found[1]}.{(found[2] or '0')[:6].ljust(6, '0')}{found[3]}")


class Renderer:
    """Blocks of whole lines in, the text that kubectl shows out; what is no line of a log is left out.

    Remembers whether a line has begun: its time is shown once, however many parts it has.
    """

    def __init__(self, wanted: Wanted) -> None:
        # To exclude the end of the line from a time, too, would cost a third; the year does as well.
        stamp = rb"\d\d\d\d-[^ ]++ "
        begin = (b"(" + stamp + b")" if wanted.timestamps else stamp) + _STREAMS[wanted.stream]
        # A whole line keeps its end, a partial one loses it. There is a match everywhere: to search is slow.
        whole, any_ = begin + rb" F (.*+\n)", begin + rb" [FP] ((?<=F ).*+\n|.*+)\n?|.*+\n"
        self._lines = re.compile(whole * AT_ONCE + b"|" + any_)
        self.render = self._stamped if wanted.timestamps else self._plain
        self._within = False

    def _plain(self, block: Block) -> bytes:
        return b"".join(chain.from_iterable(self._lines.findall(block)))

    def _stamped(self, block: Block) -> bytes:
        groups = list(chain.from_iterable(self._lines.findall(block)))
        pieces = list(filter(None, groups))
        texts = pieces[1::2]
        if self._within or set(map(_last, texts)) != {NEWLINE}:
            return b"".join(self._parts(zip(groups[::2], groups[1::2], strict=True)))
        pieces[::2] = _even(pieces[::2])
        return b"".join(pieces)

    def _parts(self, found: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
        """A partial line is joined with what follows."""
        for stamp, text in found:
            if not stamp:
                continue
            if not self._within:
                yield from _even((stamp,))
            yield text
            self._within = text[-1:] not in (b"", b"\n")


def _even(stamps: Sequence[bytes]) -> Sequence[bytes]:
    """All with nine digits; the runtime leaves out zeros at the end."""
    return [stamp if len(stamp) == STAMP_BYTES else _padded(stamp) for stamp in stamps]


def _padded(stamp: bytes) -> bytes:
    stamp = stamp.rpartition(b"\n")[2]
    found = _TIME.fullmatch(stamp)
    return stamp if found is None else found[1] + b"." + (found[2] or b"").ljust(9, b"0") + found[3] + b" "
