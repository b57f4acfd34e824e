"""What the API server tells of its requests at /metrics, in kube-apiserver's names and buckets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from minikube.apiserver.compression import InPieces
from minikube.apiserver.flow import Flow, is_long_running
from minikube.apiserver.request_info import RequestInfo

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
BYTES = tuple(10**power for power in range(3, 10))
VERBS = {
    "get": "GET", "list": "LIST", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION", "watch": "WATCH",
}  # fmt: skip
HEALTH = ("/healthz", "/livez", "/readyz")
_REQUEST = ("verb", "group", "version", "resource", "subresource", "scope", "component")
Counts = Callable[[], Iterable[tuple[str, str, int]]]
"""(group, plural, number of objects) of every kind."""


class Traffic:
    """`begin` a request, `end` it with its code; `text` is the exposition."""

    def __init__(self, flow: Flow, objects: Counts) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(_Objects(flow, objects))
        self._total = Counter(
            "apiserver_request_total", "Requests by verb, dry run, resource and HTTP code.",
            (*_REQUEST, "dry_run", "code"), registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "apiserver_request_duration_seconds", "Response latency in seconds.",
            (*_REQUEST, "dry_run"), buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._sizes = Histogram(
            "apiserver_response_sizes", "Response size in bytes.", _REQUEST, buckets=BYTES, registry=self.registry
        )
        self._long = Gauge(
            "apiserver_longrunning_requests", "Long-running requests that are open.", _REQUEST,
            registry=self.registry,
        )  # fmt: skip
        self._terminated = Counter(
            "apiserver_request_terminations_total", "Requests that were refused to protect the server.",
            (*_REQUEST, "code"), registry=self.registry,
        )  # fmt: skip
        self._known: dict[tuple[Any, ...], Any] = {}

    def begin(self, info: RequestInfo) -> float:
        if is_long_running(info):
            self._child(self._long, _labels(info)).inc()
        return time.perf_counter()

    def end(self, info: RequestInfo, began: float, answer: web.StreamResponse | None, *, dry_run: bool) -> None:
        """`answer` None: the client went away."""
        labels, dry = _labels(info), "All" if dry_run else ""
        code = answer.status if answer is not None else 0
        self._child(self._total, (*labels, dry, str(code))).inc()
        if is_long_running(info):
            self._child(self._long, labels).dec()
            return
        self._child(self._seconds, (*labels, dry)).observe(time.perf_counter() - began)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            self._child(self._sizes, labels).observe(len(answer.body))
        elif isinstance(answer, InPieces):
            self._child(self._sizes, labels).observe(answer.size)
        if code in (429, 504):
            self._child(self._terminated, (*labels, str(code))).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _child(self, metric: Any, labels: tuple[str, ...]) -> Any:
        key = (metric, labels)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = metric.labels(*labels)
        return found


def _labels(info: RequestInfo) -> tuple[str, ...]:
    verb = VERBS.get(info.verb, info.verb.upper() if info.verb in ("head", "options") else "other")
    if not info.resource:
        return (
            verb,
            "",
            "",
            "",
            info.path if info.path in ("/healthz", "/livez", "/readyz") else "",
            "",
            "apiserver",
        )
    scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
    return (verb, info.group, info.version, info.resource, info.subresource, scope, "apiserver")


class _Objects:
    """What is counted when it is asked for: stored objects, and requests at work and waiting."""

    def __init__(self, flow: Flow, objects: Counts) -> None:
        self._flow = flow
        self._objects = objects

    def collect(self) -> Iterator[Metric]:
        stored = GaugeMetricFamily(
            "apiserver_resource_objects", "Stored objects by kind.", labels=("group", "resource")
        )
        for group, plural, count in self._objects():
            stored.add_metric((group, plural), count)
        yield stored
        seats = (("readOnly", self._flow.reads), ("mutating", self._flow.writes))
        working = GaugeMetricFamily(
            "apiserver_current_inflight_requests", "Requests at work.", labels=("request_kind",)
        )
        waiting = GaugeMetricFamily(
            "apiserver_current_inqueue_requests", "Requests that wait for a seat.", labels=("request_kind",)
        )
        for kind, one in seats:
            working.add_metric((kind,), one.taken)
            waiting.add_metric((kind,), one.waiting)
        yield working
        yield waiting
