"""The kubelet's metrics in Prometheus text, written from the Summary: pure.

Names and labels: k8s.io/kubernetes/pkg/kubelet/metrics/collectors/resource_metrics.go and cadvisor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from minikube.node.host.pressure import RESOURCES
from minikube.node.pod.observed import Observed
from minikube.node.probes.counts import BOUNDS, Counts
from minikube.node.probes.prober import Counted
from minikube.node.runtime.base import State

Json = Mapping[str, Any]
Sample = tuple[Mapping[str, str], float]


def family(name: str, kind: str, help: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric family; nothing without samples."""
    lines = []
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        shown = f"{value:.9f}".rstrip("0").rstrip(".")
        lines.append(f"{name}{{{inside}}} {shown}" if inside else f"{name} {shown}")
    if lines:
        yield from (f"# HELP {name} {help}", f"# TYPE {name} {kind}", *lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _pods(summary: Json) -> Iterator[tuple[dict[str, str], Json]]:
    for pod in summary["pods"]:
        yield {"namespace": pod["podRef"]["namespace"], "pod": pod["podRef"]["name"]}, pod


def _containers(summary: Json) -> Iterator[tuple[dict[str, str], Json]]:
    for labels, pod in _pods(summary):
        for container in pod["containers"]:
            yield {"container": container["name"], **labels}, container


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def resource_text(summary: Json) -> str:
    """/metrics/resource"""
    node = summary["node"]
    lines = [
        *family(
            "node_cpu_usage_seconds_total",
            "counter",
            "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
            [({}, node["cpu"]["usageCoreNanoSeconds"] / 1e9)],
        ),
        *family(
            "node_memory_working_set_bytes",
            "gauge",
            "[STABLE] Current working set of the node in bytes",
            [({}, node["memory"]["workingSetBytes"])],
        ),
    ]
    for prefix, what, found in (
        ("container", "container", list(_containers(summary))),
        ("pod", "pod", [(labels, pod) for labels, pod in _pods(summary) if pod["containers"]]),
    ):
        lines += family(
            f"{prefix}_cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {what} in core-seconds",
            [(labels, each["cpu"]["usageCoreNanoSeconds"] / 1e9) for labels, each in found],
        )
        lines += family(
            f"{prefix}_memory_working_set_bytes",
            "gauge",
            f"[STABLE] Current working set of the {what} in bytes",
            [(labels, each["memory"]["workingSetBytes"]) for labels, each in found],
        )
    lines += family(
        "container_start_time_seconds",
        "gauge",
        "[STABLE] Start time of the container since unix epoch in seconds",
        [(labels, _seconds(each["startTime"])) for labels, each in _containers(summary) if each["startTime"]],
    )
    lines += family(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
        [({}, 0)],
    )
    return "\n".join(lines) + "\n"


def cadvisor_text(summary: Json, machine: Mapping[str, int]) -> str:
    """/metrics/cadvisor: what dashboards and autoscalers read."""
    containers = list(_containers(summary))
    lines = [
        *family("machine_cpu_cores", "gauge", "Number of logical CPU cores.", [({}, machine["cores"])]),
        *family("machine_memory_bytes", "gauge", "Amount of memory installed.", [({}, machine["memory"])]),
        *family(
            "container_cpu_usage_seconds_total",
            "counter",
            "Cumulative cpu time consumed in seconds.",
            [(labels, each["cpu"]["usageCoreNanoSeconds"] / 1e9) for labels, each in containers],
        ),
    ]
    for name, key in (("working_set", "workingSetBytes"), ("usage", "usageBytes"), ("rss", "rssBytes")):
        metric = "container_memory_rss" if name == "rss" else f"container_memory_{name}_bytes"
        lines += family(
            metric,
            "gauge",
            f"Current {name.replace('_', ' ')} in bytes.",
            [(labels, each["memory"][key]) for labels, each in containers],
        )
    lines += family(
        "container_fs_usage_bytes",
        "gauge",
        "Number of bytes that are consumed by the container on this filesystem.",
        [(labels, each["rootfs"]["usedBytes"]) for labels, each in containers],
    )
    for name in RESOURCES:
        for verb, kind, told in (
            ("stalled", "full", "no tasks in the container could make progress"),
            ("waiting", "some", "tasks in the container have waited"),
        ):
            resource = {"cpu": "CPU", "io": "IO"}.get(name, name)
            lines += family(
                f"container_pressure_{name}_{verb}_seconds_total",
                "counter",
                f"Total time duration {told} due to {resource} congestion.",
                [
                    (labels, each[name]["psi"][kind]["total"] / 1e6)
                    for labels, each in containers
                    if kind in each.get(name, {}).get("psi", {})
                ],
            )
    for name, key in (("receive", "rxBytes"), ("transmit", "txBytes")):
        lines += family(
            f"container_network_{name}_bytes_total",
            "counter",
            f"Cumulative count of bytes {name}{'d' if name[-1] == 'e' else 'ted'}",
            [
                ({"interface": "eth0", **labels}, pod["network"][key])
                for labels, pod in _pods(summary)
                if "network" in pod
            ],
        )
    return "\n".join(lines) + "\n"


VOLUME_METRICS = (
    ("capacity_bytes", "capacityBytes", "Capacity in bytes of the volume"),
    ("available_bytes", "availableBytes", "Number of available bytes in the volume"),
    ("used_bytes", "usedBytes", "Number of used bytes in the volume"),
    ("inodes", "inodes", "Maximum number of inodes in the volume"),
    ("inodes_free", "inodesFree", "Number of free inodes in the volume"),
    ("inodes_used", "inodesUsed", "Number of used inodes in the volume"),
)


def volumes_text(summary: Json) -> str:
    """The part of /metrics about claims; each once, however many pods share it."""
    claims = {
        (volume["pvcRef"]["namespace"], volume["pvcRef"]["name"]): volume
        for pod in summary["pods"]
        for volume in pod.get("volume", ())
        if "pvcRef" in volume
    }
    lines: list[str] = []
    for name, key, help in VOLUME_METRICS:
        samples = [
            ({"namespace": namespace, "persistentvolumeclaim": claim}, volume[key])
            for (namespace, claim), volume in claims.items()
        ]
        lines += family(f"kubelet_volume_stats_{name}", "gauge", f"[ALPHA] {help}", samples)
    return "".join(f"{line}\n" for line in lines)


def probes_text(counted: Iterable[Counted]) -> str:
    """/metrics/probes"""
    results: list[Sample] = []
    durations: list[str] = []
    for pod, container, kinds in counted:
        meta = pod.metadata
        of = {"container": container, "namespace": meta.namespace, "pod": meta.name}
        for kind, counts in kinds.items():
            type = kind.value.capitalize()
            for result in ("successful", "failed", "unknown"):
                if count := getattr(counts, result):
                    labels = {**of, "pod_uid": meta.uid, "probe_type": type, "result": result}
                    results.append((labels, count))
            durations += _histogram("prober_probe_duration_seconds", {**of, "probe_type": type}, counts)
    help = "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result."
    lines = list(family("prober_probe_total", "counter", help, results))
    if durations:
        help = "[ALPHA] Duration in seconds for a probe response."
        lines += (f"# HELP prober_probe_duration_seconds {help}", "# TYPE prober_probe_duration_seconds histogram")
    return "".join(f"{line}\n" for line in (*lines, *durations))


def _histogram(name: str, labels: Mapping[str, str], counts: Counts) -> Iterator[str]:
    total = sum(counts.buckets)
    if not total:
        return
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    for bound, upto in zip((*BOUNDS, "+Inf"), accumulate(counts.buckets), strict=True):
        shown = bound if isinstance(bound, str) else f"{bound:g}"
        yield f'{name}_bucket{{{inside},le="{shown}"}} {upto}'
    yield f"{name}_sum{{{inside}}} {counts.seconds:.9f}"
    yield f"{name}_count{{{inside}}} {total}"


def kubelet_text(node: str, observed: Iterable[Observed]) -> str:
    """/metrics"""
    states: dict[str, int] = {}
    pods = 0
    for each in observed:
        pods += each.sandbox is not None
        for container in each.containers:
            name = "running" if container.state is State.RUNNING else container.state.value
            states[name] = states.get(name, 0) + 1
    lines = [
        *family("kubelet_node_name", "gauge", "[ALPHA] The node's name.", [({"node": node}, 1)]),
        *family("kubelet_running_pods", "gauge", "[BETA] Number of pods with a running sandbox.", [({}, pods)]),
        *family(
            "kubelet_running_containers",
            "gauge",
            "[BETA] Number of containers by state.",
            [({"container_state": state}, count) for state, count in sorted(states.items())],
        ),
    ]
    return "\n".join(lines) + "\n"
