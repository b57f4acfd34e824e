"""Reading a log through its files, while it is written, rotated and compressed."""

import asyncio
import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikube.kit.inotify import NextChange
from minikube.node.kubelet.log_files import Reader
from minikube.node.kubelet.log_text import Renderer, Wanted
from minikube.node.kubelet.logs import read
from minikube.node.upkeep.log_rotation import set_aside

START = datetime(2026, 1, 1, tzinfo=UTC)


class Container:
    """A run that is over, or goes on until `end`."""

    def __init__(self, *, over: bool = True) -> None:
        self._over = over
        self._looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def over(self) -> bool:
        return self._over

    def looked(self) -> asyncio.Future[None]:
        return self._looked

    def end(self) -> None:
        self._over = True
        self._looked.set_result(None)


def line(number: int, stream: str = "stdout") -> bytes:
    stamp = (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} {stream} F line {number}\n".encode()


def numbers(first: int, end: int = 10) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, end))


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def read_on(reader: Reader) -> bytes:
    """All there is by now."""
    out, renderer = b"", Renderer(Wanted())
    while block := reader.block():
        out += renderer.render(block)
    return out


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Lines 0 to 2 compressed, 3 to 5 rotated, 6 to 9 current."""
    path = tmp_path / "0.log"
    (tmp_path / "0.log.20260101-000000.gz").write_bytes(gzip.compress(b"".join(map(line, range(3)))))
    (tmp_path / "0.log.20260101-000003").write_bytes(b"".join(map(line, range(3, 6))))
    path.write_bytes(b"".join(map(line, range(6, 10))))
    return path


async def shown(path: Path, wanted: Wanted) -> bytes:
    return b"".join([piece async for piece in read(path, wanted, Container(), NextChange())])


async def test_rotated_files_come_first(log: Path) -> None:
    assert await shown(log, Wanted()) == numbers(0)


async def test_a_file_that_is_just_being_compressed_is_read_once(log: Path) -> None:
    rotated = log.with_name("0.log.20260101-000003")
    rotated.with_name(rotated.name + ".gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.with_name(rotated.name + ".gz.tmp").write_bytes(b"x")
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
    assert await shown(log, Wanted(limit=10, tail=0)) == b""


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("tail", [0, 1, 9_999, 10_000, 20_000, 30_000])
async def test_files_of_many_blocks(tmp_path: Path, tail: int, compressed: bool) -> None:
    count = 20_000
    content = b"".join(map(line, range(count)))
    if compressed:
        (tmp_path / "0.log.20260101-000000.gz").write_bytes(gzip.compress(content, 1))
    (tmp_path / "0.log").write_bytes(b"" if compressed else content)
    expected = numbers(max(0, count - tail), count)
    assert await shown(tmp_path / "0.log", Wanted(tail=tail)) == expected
    since = START + timedelta(seconds=count - tail)
    assert await shown(tmp_path / "0.log", Wanted(since=since)) == expected


@settings(deadline=None)  # files
@given(st.lists(st.text(alphabet="ab P\r", max_size=20), max_size=30), st.integers(0, 35), st.booleans())
def test_tail_agrees_with_the_plain_way(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], tail: int, compressed: bool
) -> None:
    path = tmp_path_factory.mktemp("logs") / "0.log"
    content = b"".join(b"2026-01-01T00:00:00Z stdout F " + text.encode() + b"\n" for text in texts)
    path.write_bytes(b"" if compressed else content)
    if compressed:
        path.with_name("0.log.20260101-000000.gz").write_bytes(gzip.compress(content))
    expected = texts[-tail:] if tail else []
    assert read_on(Reader(path, Wanted(tail=tail))).decode() == "".join(text + "\n" for text in expected)


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(0) + line(1)[:20])
    reader = Reader(path, Wanted())
    assert reader.block() == line(0)
    assert reader.block() == b""
    append(path, line(1)[20:])
    assert reader.block() == line(1)


class Written:
    """A log with its writer, who keeps a rotated file open until he is told of the new one."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "0.log"
        self._writer = self.path.open("ab", buffering=0)
        self._rotations = self.lines = 0

    def write(self) -> None:
        self._writer.write(line(self.lines))
        self.lines += 1

    def rotate(self) -> None:
        set_aside(self.path, files=100, now=START + timedelta(seconds=self._rotations))
        self._rotations += 1

    def reopen(self) -> None:
        self._writer.close()
        self._writer = self.path.open("ab", buffering=0)


@settings(deadline=None)  # files
@given(st.lists(st.sampled_from(["write", "write", "rotate", "reopen", "read"]), max_size=40))
def test_a_follower_misses_nothing_however_often_the_log_is_rotated_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, happenings: list[str]
) -> None:
    log = Written(tmp_path_factory.mktemp("logs"))
    reader, got, away = Reader(log.path, Wanted()), b"", False
    for happening in happenings:
        if happening == "read":
            got += read_on(reader)
        elif happening == "rotate" and not away:
            log.rotate()
            away = True
        elif happening == "reopen" and away:
            log.reopen()
            away = False
        elif happening == "write":
            log.write()
    if away:
        log.reopen()
    assert (got + read_on(reader)).decode() == numbers(0, log.lines).decode()


def test_a_follower_whose_file_was_removed_goes_on_with_what_is_left(tmp_path: Path) -> None:
    log = Written(tmp_path)
    log.write()
    reader = Reader(log.path, Wanted())
    for _ in range(3):
        log.rotate()
        log.reopen()
        log.write()
    os.unlink(tmp_path / "0.log.20260101-000000.gz")
    assert read_on(reader) == numbers(0, 4)


def test_a_log_without_a_current_file_is_read_all_the_same(log: Path) -> None:
    log.rename(log.with_name("0.log.20260101-000006"))
    reader = Reader(log, Wanted())
    assert read_on(reader) == numbers(0)
    log.write_bytes(line(10))
    assert read_on(reader) == numbers(10, 11)


async def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await shown(tmp_path / "0.log", Wanted())


async def test_several_followers_are_told_of_every_line_and_of_the_end(tmp_path: Path) -> None:
    path, container, changes = tmp_path / "0.log", Container(over=False), NextChange()
    path.write_bytes(line(0))
    got, more = [bytearray() for _ in range(5)], asyncio.Event()

    async def follow(into: bytearray) -> None:
        async for piece in read(path, Wanted(follow=True), container, changes):
            into += piece
            more.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for each in got:
            group.create_task(follow(each))
        for number in range(1, 6):
            while any(each != numbers(0, number) for each in got):
                more.clear()
                await more.wait()
            if number == 3:
                set_aside(path, files=5, now=START)
            append(path, line(number))
        container.end()
    assert [bytes(each) for each in got] == [numbers(0, 6)] * 5


async def test_a_follower_that_is_given_up_lets_go_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line(0))
    before = len(os.listdir("/proc/self/fd"))
    pieces = read(path, Wanted(follow=True), Container(over=False), NextChange())
    assert await anext(pieces) == numbers(0, 1)
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    await pieces.aclose()
    assert len(os.listdir("/proc/self/fd")) == before
