"""What is shown of a log, against a plain line-by-line reading of it."""

import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minikube.node.kubelet.log_text import AT_ONCE, Renderer, Wanted, moment

CONTENT = (
    b"2026-01-01T00:00:00.123456789Z stdout F one\n"
    b"2026-01-01T00:00:01.000000000Z stderr P two\n"
    b"2026-01-01T00:00:02.000000000Z stdout F three P F\n"
)


class Line(msgspec.Struct, frozen=True):
    nanoseconds: str
    zone: str
    stream: str
    tag: str
    text: bytes

    def written(self) -> bytes:
        """As a runtime does, without zeros at the end."""
        fraction = f".{self.nanoseconds.rstrip('0')}".rstrip(".")
        return f"2026-01-01T00:00:00{fraction}{self.zone} {self.stream} {self.tag} ".encode() + self.text + b"\n"


LINES = st.builds(
    Line,
    st.from_regex(re.compile(r"[0-9]{9}", re.ASCII), fullmatch=True) | st.just("120000000") | st.just("000000000"),
    st.sampled_from(["Z", "+02:00"]),
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from("FFFP"),
    st.sampled_from([b"", b" ", b"F ", b"x stdout P y", b"Z stderr F ", b"\xff\x00\r", b"x" * 100]),
)
GARBAGE = st.sampled_from(
    [b"\n", b"x\n", b"1\n", b"x y\n", b"1 y\n", b"2026-01-01T00:00:00Z stdnone F x\n", b"x stdout F x\n"]
)


def plainly(lines: list[Line | bytes], wanted: Wanted) -> bytes:
    out, within = b"", False
    for line in lines:
        if isinstance(line, bytes) or wanted.stream not in ("All", line.stream.title()):
            continue
        if wanted.timestamps and not within:
            out += f"2026-01-01T00:00:00.{line.nanoseconds}{line.zone} ".encode()
        out += line.text + (b"\n" if line.tag == "F" else b"")
        within = line.tag == "P" and line.text != b""
    return out


@given(
    st.lists(LINES, max_size=4 * AT_ONCE) | st.lists(LINES | GARBAGE, max_size=3 * AT_ONCE),
    st.builds(Wanted, timestamps=st.booleans(), stream=st.sampled_from(["All", "Stdout", "Stderr"])),
    st.lists(st.integers(0, 4 * AT_ONCE), max_size=3),
)
@example([Line("000000000", "Z", "stdout", "F", b"x")] * AT_ONCE, Wanted(timestamps=True), [])
def test_what_is_shown_is_what_a_plain_reading_shows(
    lines: list[Line | bytes], wanted: Wanted, cuts: list[int]
) -> None:
    written = [line if isinstance(line, bytes) else line.written() for line in lines]
    renderer, shown, begin = Renderer(wanted), b"", 0
    for cut in [*sorted(cuts), len(written)]:
        shown += renderer.render(b"".join(written[begin:cut]))
        begin = max(begin, cut)
    assert shown == plainly(lines, wanted)


def test_a_partial_line_is_joined_with_what_follows() -> None:
    assert Renderer(Wanted()).render(CONTENT) == b"one\ntwothree P F\n"


def test_only_one_of_the_two_streams_is_shown() -> None:
    assert Renderer(Wanted(stream="Stderr")).render(CONTENT) == b"two"
    assert Renderer(Wanted(stream="Stdout", timestamps=True)).render(CONTENT) == (
        b"2026-01-01T00:00:00.123456789Z one\n2026-01-01T00:00:02.000000000Z three P F\n"
    )


def test_the_end_of_a_log_may_lack_its_newline() -> None:
    assert Renderer(Wanted()).render(CONTENT[:-1]) == b"one\ntwothree P F"


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(timestamps=True)])
def test_nothing_is_shown_of_nothing(wanted: Wanted) -> None:
    assert Renderer(wanted).render(b"") == b""


def test_nanoseconds_are_read_with_any_offset() -> None:
    assert moment("2026-01-01T01:00:00.123456789+01:00") == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert moment("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=UTC)
