"""Our own process when memory runs out."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikube.node.host.processes import spare_us


@pytest.mark.parametrize(("before", "after"), [("0\n", "-999"), ("-500\n", "-999"), ("-1000\n", "-1000\n")])
def test_the_kernel_is_to_kill_pods_rather_than_us(tmp_path: Path, before: str, after: str) -> None:
    own = tmp_path / "oom_score_adj"
    own.write_text(before)
    spare_us(own)
    assert own.read_text() == after


def test_where_it_may_not_be_said_it_stays(tmp_path: Path) -> None:
    spare_us(tmp_path / "absent/oom_score_adj")
