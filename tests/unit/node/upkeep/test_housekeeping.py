"""Image garbage, log files, capacity and measures: pure parts of what the node does for its own sake."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

from minikube.node.runtime.base import Image
from minikube.node.upkeep import garbage, log_rotation
from minikube.node.upkeep.capacity import allocatable_of, capacity_of, parse_reserved
from minikube.node.upkeep.measuring import memory, pids
from minikube.node.upkeep.thresholds import Measure, parse_thresholds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)


def image(name: str, size: int = 10, *, pinned: bool = False) -> Image:
    return Image(name, (f"{name}:1",), (), size, pinned=pinned)


def test_nothing_is_freed_below_the_high_threshold() -> None:
    assert garbage.to_free(Measure(20, 100), high=85, low=80) == 0
    assert garbage.to_free(Measure(10, 100), high=85, low=80) == 10


def test_unused_images_go_the_least_recently_used_first() -> None:
    images = [image(name) for name in ("used", "stale", "never", "kept")] + [image("pinned", pinned=True)]
    records = garbage.seen({}, images, frozenset({"used", "stale"}), OLD)
    records = garbage.seen(records, images, frozenset({"used"}), NOW)
    chosen = garbage.removable(images, records, frozenset({"kept:1"}), NOW, 15)
    assert [each.id for each in chosen] == ["stale", "never"]
    assert [each.id for each in garbage.removable(images, records, frozenset({"kept:1"}), NOW, 10)] == ["stale"]


def test_a_fresh_image_stays() -> None:
    images = [image("new")]
    assert garbage.removable(images, garbage.seen({}, images, frozenset(), NOW), frozenset(), NOW, 10) == []


def test_images_that_nobody_has_used_for_long_go_although_there_is_room() -> None:
    images = [image(name) for name in ("used", "stale", "never", "kept", "new")] + [image("pinned", pinned=True)]
    records = garbage.seen({}, images[:-2] + images[-1:], frozenset({"used", "stale"}), OLD)
    records = garbage.seen(records, images, frozenset({"used"}), NOW)
    chosen = garbage.outdated(images, records, frozenset({"kept:1"}), NOW, timedelta(minutes=59))
    assert [each.id for each in chosen] == ["stale", "never"]
    assert not garbage.outdated(images, records, frozenset(), NOW, timedelta(minutes=61))


def test_a_log_is_set_aside_the_older_one_compressed_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    for turn in range(4):
        log.write_text(f"turn {turn}\n")
        assert log_rotation.too_large(log, 5)
        log_rotation.set_aside(log, files=3, now=NOW + timedelta(seconds=turn))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log.20260101-000002.gz", "0.log.20260101-000003"]
    with gzip.open(tmp_path / "0.log.20260101-000002.gz", "rt") as packed:
        assert packed.read() == "turn 2\n"


def test_reservations_and_hard_eviction_leave_less_for_pods() -> None:
    capacity = capacity_of(
        4, 8 << 30, 100 << 30, 110, {"hugepages-2Mi": 1 << 30}, {"example.com/gpu": "2", "cpu": "9"}
    )
    assert capacity["example.com/gpu"] == "2"
    assert capacity["cpu"] == "4"
    left = allocatable_of(
        capacity,
        [parse_reserved("cpu=500m,memory=1Gi")],
        parse_thresholds("memory.available<100Mi,nodefs.available<10%"),
    )
    assert left["cpu"] == "3500m"
    assert left["memory"] == f"{(8 << 20) - (2 << 20) - 100 * 1024}Ki"
    assert left["ephemeral-storage"] == str(90 << 30)
    assert (left["pods"], left["hugepages-2Mi"], left["example.com/gpu"]) == ("110", "1Gi", "2")


def test_what_the_kernel_says_of_memory_and_processes() -> None:
    text = "MemTotal:  1000 kB\nMemFree:  200 kB\nInactive(file):  300 kB\n"
    assert memory(text) == Measure(500 * 1024, 1000 * 1024)
    assert pids("0.1 0.2 0.3 1/250 4711", 32768, 1000) == Measure(750, 1000)
