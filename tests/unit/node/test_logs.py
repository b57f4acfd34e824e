from datetime import UTC, datetime

from minikube.node.kubelet.logs import Wanted, moment, render, select

CONTENT = (
    b"2026-01-01T00:00:00.123456789Z stdout F one\n"
    b"2026-01-01T00:00:01.000000000Z stderr P two\n"
    b"2026-01-01T00:00:02.000000000Z stdout F three\n"
)


def test_a_partial_line_is_joined_with_what_follows() -> None:
    assert b"".join(render(each, Wanted()) for each in select(CONTENT, Wanted())) == b"one\ntwothree\n"


def test_tail_and_since_choose_the_newest_lines() -> None:
    assert [each.text for each in select(CONTENT, Wanted(tail=1))] == [b"three\n"]
    assert select(CONTENT, Wanted(tail=0)) == []
    since = Wanted(since=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert [each.text for each in select(CONTENT, since)] == [b"two", b"three\n"]


def test_nanoseconds_are_read_with_any_offset() -> None:
    assert moment("2026-01-01T01:00:00.123456789+01:00") == datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
