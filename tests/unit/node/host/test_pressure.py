"""Pressure stall information, as kernel 6.1 writes it."""

from __future__ import annotations

from pathlib import Path

from minikube.node.host.cgroups import Cgroups
from minikube.node.host.pressure import parsed, pressures

CPU = """\
some avg10=9.77 avg60=12.27 avg300=40.01 total=1129248623
full avg10=0.00 avg60=0.00 avg300=0.00 total=0
"""
MEMORY = """\
some avg10=0.00 avg60=0.00 avg300=0.20 total=43367180
full avg10=0.00 avg60=0.00 avg300=0.11 total=26915233
"""
OLD_CPU = "some avg10=0.00 avg60=0.00 avg300=0.00 total=17\n"
"""Before kernel 5.13."""


def test_averages_are_percent_and_the_total_counts_microseconds() -> None:
    assert parsed(CPU) == {
        "some": {"avg10": 9.77, "avg60": 12.27, "avg300": 40.01, "total": 1129248623},
        "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0},
    }
    assert parsed(OLD_CPU).keys() == {"some"}


def test_only_what_the_kernel_tells_of_a_group_is_told(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    group = tmp_path / "pods/podu/c"
    group.mkdir(parents=True)
    (group / "cpu.pressure").write_text(CPU)
    (group / "memory.pressure").write_text(MEMORY)
    found = pressures(Cgroups("/pods", tmp_path), "/pods/podu/c")
    assert {name: psi["some"]["total"] for name, psi in found.items()} == {"cpu": 1129248623, "memory": 43367180}
    assert pressures(Cgroups("/pods", tmp_path), "/pods/gone") == {}


def test_version_one_keeps_no_account_of_pressure(tmp_path: Path) -> None:
    (tmp_path / "cpu.pressure").write_text(CPU)
    assert pressures(Cgroups("/pods", tmp_path), "/") == {}
