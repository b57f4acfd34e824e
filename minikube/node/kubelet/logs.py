"""Container logs in the CRI format: `<RFC 3339 nano> stdout|stderr F|P <text>` lines, as kubectl logs asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import msgspec

POLL = 0.2


class Wanted(msgspec.Struct, frozen=True):
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None


class Line(msgspec.Struct, frozen=True):
    at: str
    stream: str
    text: bytes
    """With its line end, unless it is only part of a line."""


def parse(raw: bytes) -> Line | None:
    """One line of the file without its line end; None if it is no CRI log line."""
    parts = raw.split(b" ", 3)
    if len(parts) < 3:
        return None
    text = parts[3] if len(parts) == 4 else b""
    whole = b"" if parts[2].startswith(b"P") else b"\n"
    return Line(parts[0].decode(errors="replace"), parts[1].decode(errors="replace"), text + whole)


def moment(text: str) -> datetime:
    """Nanoseconds are cut to microseconds."""
    head, _, rest = text.partition(".")
    digits = "".join(each for each in rest if each.isdigit() or each in "+-Z")
    zone = next((index for index, each in enumerate(digits) if each in "+-Z"), len(digits))
    offset = rest[rest.find(digits[zone]) :] if zone < len(digits) else "Z"
    return (
        datetime.fromisoformat(f"{head}.{digits[:zone][:6] or '0'}{offset}")
        if rest
        else datetime.fromisoformat(text)
    )


def select(content: bytes, wanted: Wanted) -> list[Line]:
    """The lines of a file that are wanted; `limit` is left to the reader."""
    lines = [line for raw in content.splitlines() if (line := parse(raw)) is not None]
    if wanted.since is not None:
        lines = [line for line in lines if moment(line.at) >= wanted.since]
    if wanted.tail is not None:
        lines = lines[len(lines) - wanted.tail :] if 0 < wanted.tail < len(lines) else lines if wanted.tail else []
    return lines


def render(line: Line, wanted: Wanted) -> bytes:
    return line.at.encode() + b" " + line.text if wanted.timestamps else line.text


async def read(path: Path, wanted: Wanted, over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The wanted bytes; with follow until `over()` says that nothing more comes. Raises OSError."""
    left = wanted.limit
    content = await asyncio.to_thread(path.read_bytes)
    whole = content[: content.rfind(b"\n") + 1]
    at = len(whole)
    out = b"".join(render(line, wanted) for line in select(whole, wanted))
    later = msgspec.structs.replace(wanted, tail=None)
    while True:
        if left is not None:
            out = out[:left]
            left -= len(out)
        if out:
            yield out
        if not wanted.follow or left == 0:
            return
        ending = over()
        content = await asyncio.to_thread(_from, path, at)
        whole = content[: content.rfind(b"\n") + 1]
        at += len(whole)
        out = b"".join(render(line, later) for line in select(whole, later))
        if not out:
            if ending:
                return
            await asyncio.sleep(POLL)


def _from(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read()
