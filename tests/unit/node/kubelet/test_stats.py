from datetime import UTC, datetime, timedelta
from pathlib import Path

from minikube.node.host.pressure import parsed
from minikube.node.kubelet.metrics import cadvisor_text, family
from minikube.node.kubelet.stats import add_pressure, container_stats, meminfo, node_cpu, rate, traffic
from minikube.node.runtime.base import Container, ContainerUsage, State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = Container("id", "s", "u", "c", 0, State.RUNNING, started_at=NOW - timedelta(seconds=4))


def usage(at: datetime, cpu: int) -> ContainerUsage:
    return ContainerUsage("id", "u", "c", at, cpu_nanoseconds=cpu, memory_working_set=7)


def test_half_a_core_is_half_a_billion_nanocores() -> None:
    assert rate(1_000_000_000, 2_000_000_000, 2.0) == 500_000_000


def test_a_counter_that_began_again_counts_from_zero() -> None:
    assert rate(5_000_000_000, 1_000_000_000, 1.0) == 1_000_000_000


def test_a_container_is_measured_since_the_earlier_look() -> None:
    before = usage(NOW - timedelta(seconds=2), 1_000_000_000)
    found = container_stats(RUN, usage(NOW, 1_500_000_000), before, 0)
    assert found["cpu"]["usageNanoCores"] == 250_000_000
    assert found["memory"]["workingSetBytes"] == 7


def test_a_container_without_an_earlier_look_is_measured_since_its_start() -> None:
    assert container_stats(RUN, usage(NOW, 2_000_000_000), None, 0)["cpu"]["usageNanoCores"] == 500_000_000


def test_the_nodes_processor_time_comes_from_either_cgroup_version(tmp_path: Path) -> None:
    unified, legacy = tmp_path / "v2", tmp_path / "v1"
    unified.mkdir()
    (unified / "cpu.stat").write_text("usage_usec 1234\nuser_usec 1000\n")
    (legacy / "cpuacct").mkdir(parents=True)
    (legacy / "cpuacct/cpuacct.usage").write_text("5678\n")
    assert node_cpu(tmp_path, unified) == 1_234_000
    assert node_cpu(tmp_path, legacy) == 5678


def test_memory_is_read_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:   2048 kB\nMemFree:   1024 kB\n")
    assert meminfo(tmp_path) == {"MemTotal": 2048 * 1024, "MemFree": 1024 * 1024}


def test_what_the_hosts_end_received_the_pod_has_sent(tmp_path: Path) -> None:
    statistics = tmp_path / "veth0/statistics"
    statistics.mkdir(parents=True)
    for name, value in (("rx_bytes", 1), ("rx_errors", 2), ("tx_bytes", 3), ("tx_errors", 4)):
        (statistics / name).write_text(f"{value}\n")
    assert traffic("veth0", outside=True, root=tmp_path) == {
        "txBytes": 1,
        "txErrors": 2,
        "rxBytes": 3,
        "rxErrors": 4,
    }
    assert traffic("gone", outside=True, root=tmp_path) is None


def test_a_metric_is_written_as_prometheus_reads_it() -> None:
    lines = list(family("up", "gauge", "Is it?", [({"pod": 'a"b'}, 1), ({}, 0.25)]))
    assert lines == ["# HELP up Is it?", "# TYPE up gauge", 'up{pod="a\\"b"} 1', "up 0.25"]
    assert list(family("up", "gauge", "Is it?", [])) == []


def test_pressure_lies_beside_what_is_used_and_counts_seconds_in_metrics() -> None:
    found = container_stats(RUN, usage(NOW, 1), None, 0)
    cpu = parsed(
        "some avg10=0.10 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    io = parsed(
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=40\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=20\n"
    )
    add_pressure(found, {"cpu": cpu, "io": io}, NOW)
    assert found["cpu"]["psi"]["some"] == {"avg10": 0.1, "avg60": 0.0, "avg300": 0.0, "total": 2500000}
    assert found["cpu"]["usageCoreNanoSeconds"] == 1
    assert found["io"] == {"time": "2026-01-01T12:00:00Z", "psi": io}
    pod = {"podRef": {"namespace": "n", "name": "p"}, "containers": [found]}
    lines = cadvisor_text({"pods": [pod]}, {"cores": 1, "memory": 1}).splitlines()
    pressure = [line for line in lines if line.startswith("container_pressure")]
    labels = '{container="c",namespace="n",pod="p"}'
    assert pressure == [
        f"container_pressure_cpu_stalled_seconds_total{labels} 0",
        f"container_pressure_cpu_waiting_seconds_total{labels} 2.5",
        f"container_pressure_io_stalled_seconds_total{labels} 0.00002",
        f"container_pressure_io_waiting_seconds_total{labels} 0.00004",
    ]
