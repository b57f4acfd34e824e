import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikube.node.kubelet.logs import Reader, Renderer, Wanted, moment, read

START = datetime(2026, 1, 1, tzinfo=UTC)
CONTENT = (
    b"2026-01-01T00:00:00.123456789Z stdout F one\n"
    b"2026-01-01T00:00:01.000000000Z stderr P two\n"
    b"2026-01-01T00:00:02.000000000Z stdout F three P F\n"
)


def line(number: int, stream: str = "stdout") -> bytes:
    stamp = (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} {stream} F line {number}\n".encode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Lines 0 to 2 compressed, 3 to 5 rotated, 6 to 9 current."""
    path = tmp_path / "0.log"
    (tmp_path / "0.log.20260101-000000.gz").write_bytes(gzip.compress(b"".join(map(line, range(3)))))
    (tmp_path / "0.log.20260101-000003").write_bytes(b"".join(map(line, range(3, 6))))
    path.write_bytes(b"".join(map(line, range(6, 10))))
    return path


async def shown(path: Path, wanted: Wanted, over: Callable[[], bool] = lambda: True) -> bytes:
    return b"".join([piece async for piece in read(path, wanted, over)])


def numbers(first: int, end: int = 10) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, end))


def test_a_partial_line_is_joined_with_what_follows() -> None:
    assert Renderer(Wanted()).render(CONTENT) == b"one\ntwothree P F\n"


def test_a_partial_line_shows_its_time_once_also_over_two_blocks() -> None:
    first, second = (
        CONTENT[: CONTENT.index(b"2026-01-01T00:00:02")],
        CONTENT[CONTENT.index(b"2026-01-01T00:00:02") :],
    )
    renderer = Renderer(Wanted(timestamps=True))
    assert renderer.render(first) + renderer.render(second) == (
        b"2026-01-01T00:00:00.123456789Z one\n2026-01-01T00:00:01.000000000Z twothree P F\n"
    )


def test_only_one_of_the_two_streams_is_shown() -> None:
    assert Renderer(Wanted(stream="Stderr")).render(CONTENT) == b"two"
    assert Renderer(Wanted(stream="Stdout", timestamps=True)).render(CONTENT) == (
        b"2026-01-01T00:00:00.123456789Z one\n2026-01-01T00:00:02.000000000Z three P F\n"
    )


async def test_rotated_files_come_first(log: Path) -> None:
    assert await shown(log, Wanted()) == numbers(0)


@pytest.mark.parametrize("tail", range(12))
async def test_a_tail_may_begin_in_any_rotated_file(log: Path, tail: int) -> None:
    assert await shown(log, Wanted(tail=tail)) == numbers(max(0, 10 - tail))


@pytest.mark.parametrize("second", range(-1, 11))
async def test_since_finds_its_line_in_any_rotated_file(log: Path, second: int) -> None:
    assert await shown(log, Wanted(since=START + timedelta(seconds=second))) == numbers(max(0, second))


async def test_since_and_tail_both_hold(log: Path) -> None:
    assert await shown(log, Wanted(tail=5, since=START + timedelta(seconds=8))) == numbers(8)
    assert await shown(log, Wanted(tail=1, since=START + timedelta(seconds=8))) == numbers(9)


async def test_the_limit_counts_bytes_of_output(log: Path) -> None:
    assert await shown(log, Wanted(limit=10)) == b"line 0\nlin"


@given(st.lists(st.text(alphabet="ab P\r", max_size=20), max_size=30), st.integers(0, 35))
def test_tail_agrees_with_the_plain_way(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], tail: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "0.log"
    path.write_bytes(b"".join(b"2026-01-01T00:00:00Z stdout F " + text.encode() + b"\n" for text in texts))
    reader, out = Reader(path, Wanted(tail=tail)), b""
    while block := reader.block():
        out += Renderer(Wanted()).render(block)
    expected = texts[-tail:] if tail else []
    assert out.decode() == "".join(text + "\n" for text in expected)


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(0) + line(1)[:20])
    reader = Reader(path, Wanted())
    assert reader.block() == line(0)
    assert reader.block() == b""
    path.write_bytes(line(0) + line(1))
    assert reader.block() == line(1)


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(0))
    reader = Reader(path, Wanted())
    assert reader.block() == line(0)
    with path.open("ab") as old:
        old.write(line(1))
    path.rename(tmp_path / "0.log.20260101-000002")
    path.write_bytes(line(2))
    assert reader.block() == line(1)
    assert reader.block() == line(2)
    assert reader.block() == b""


def test_nanoseconds_are_read_with_any_offset() -> None:
    assert moment("2026-01-01T01:00:00.123456789+01:00") == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert moment("2026-01-01T00:00:00Z") == START
