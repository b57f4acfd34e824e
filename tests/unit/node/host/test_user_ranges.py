"""Ranges of user ids: one a pod, for as long as the pod is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from minikube.node.host.user_ranges import RangesExhausted, UserRanges


def test_pods_have_ranges_of_their_own_and_none_has_the_hosts_users(tmp_path: Path) -> None:
    ranges = UserRanges(tmp_path, 3)
    assert [ranges.of(uid) for uid in ("a", "b", "a")] == [65536, 131072, 65536]


def test_a_range_outlives_the_agent_and_is_written_as_the_kubelet_writes_it(tmp_path: Path) -> None:
    UserRanges(tmp_path, 3).of("a")
    one = [{"hostId": 65536, "containerId": 0, "length": 65536}]
    assert json.loads((tmp_path / "a/userns").read_text()) == {"uidMappings": one, "gidMappings": one}
    again = UserRanges(tmp_path, 3)
    assert (again.of("b"), again.of("a")) == (131072, 65536)


def test_a_range_is_free_again_with_the_pods_directory(tmp_path: Path) -> None:
    ranges = UserRanges(tmp_path, 2)
    ranges.of("a")
    ranges.of("b")
    with pytest.raises(RangesExhausted, match="could not find an empty slot"):
        ranges.of("c")
    shutil.rmtree(tmp_path / "a")
    assert ranges.of("c") == 65536


def test_a_file_that_a_crash_cut_short_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/userns").write_text('{"uidMapp')
    assert UserRanges(tmp_path, 2).of("a") == 65536
    assert UserRanges(tmp_path, 2).of("b") == 131072
