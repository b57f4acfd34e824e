"""The pods of a Job, and its completion indexes written as 0,2-5."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from minikube.api.batch_v1 import Job
from minikube.api.core_v1 import Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod
from minikube.controllers import pods as of_pods

TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


class Failures(msgspec.Struct, frozen=True):
    """How often an index has failed before this pod: in the count, and ignored by policy."""

    counted: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        return self.counted + self.ignored


def failures_of(pod: Pod) -> Failures:
    def number(name: str) -> int:
        text = pod.metadata.annotations.get(name, "0")
        return int(text) if text.isdecimal() else 0

    return Failures(number(FAILURES), number(IGNORED))


def index_of(pod: Pod) -> int:
    """-1 when it has none."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdecimal() else -1


def parse_indexes(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        found.update(range(int(first), int(last if dash else first) + 1))
    return frozenset(found)


def indexes_text(indexes: Iterable[int]) -> str:
    """Two neighbours are listed, three or more are a range."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    parts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs]
    return ",".join(parts)


def pod_for(job: Job, index: int | None, failures: Failures | None = None) -> Pod:
    """With the tracking finalizer; an indexed one knows its index by annotation, label, host name and variable, and
    how often it failed before (`failures`) if that is limited."""
    pod = of_pods.from_template(job, job.spec.template)
    uid, name = job.metadata.uid, job.metadata.name
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    meta = msgspec.structs.replace(
        pod.metadata, labels={**pod.metadata.labels, **labels}, finalizers=(*pod.metadata.finalizers, TRACKING)
    )
    if job.spec.completion_mode != "Indexed" or index is None:
        return msgspec.structs.replace(pod, metadata=meta)
    annotations = {**meta.annotations, INDEX: str(index)}
    if failures is not None:
        annotations[FAILURES] = str(failures.counted)
        if failures.ignored:
            annotations[IGNORED] = str(failures.ignored)
    meta = msgspec.structs.replace(
        meta,
        generate_name=f"{name}-{index}-",
        labels={**meta.labels, INDEX: str(index)},
        annotations=annotations,
    )
    spec = msgspec.structs.replace(
        pod.spec,
        hostname=f"{name}-{index}",
        containers=tuple(_told(one) for one in pod.spec.containers),
        init_containers=tuple(_told(one) for one in pod.spec.init_containers),
    )
    return msgspec.structs.replace(pod, metadata=meta, spec=spec)


def _told(container: Container) -> Container:
    if any(one.name == "JOB_COMPLETION_INDEX" for one in container.env):
        return container
    source = EnvVarSource(field_ref=ObjectFieldSelector(field_path=f"metadata.annotations['{INDEX}']"))
    return msgspec.structs.replace(
        container, env=(*container.env, EnvVar(name="JOB_COMPLETION_INDEX", value_from=source))
    )
