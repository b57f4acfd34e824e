"""Which of a machine's addresses is its own where no route tells."""

from __future__ import annotations

from pathlib import Path

from minikube.transport.interfaces import wired_address


def test_a_network_card_counts_and_what_is_built_on_one(tmp_path: Path) -> None:
    loopback = tmp_path / "lo"
    loopback.mkdir()
    assert wired_address(tmp_path) == ""
    (loopback / "lower_card").mkdir()
    (tmp_path / "card").mkdir()
    assert wired_address(tmp_path) == ""
    (tmp_path / "card/device").mkdir()
    assert wired_address(tmp_path) == "127.0.0.1"
