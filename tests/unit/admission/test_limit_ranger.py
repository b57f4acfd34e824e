"""Limit ranges: what they fill in and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from minikube.admission.limit_ranger import ANNOTATION, set_defaults, violations
from minikube.api.core_v1 import Container, LimitRange, LimitRangeItem, LimitRangeSpec, Pod, PodSpec
from minikube.api.core_v1 import ResourceRequirements as Resources
from minikube.api.meta import ObjectMeta, to_dict
from minikube.errors import Forbidden
from tests.fakes.cluster import Cluster


def limits(type: str = "Container", **bounds: Mapping[str, str]) -> LimitRange:
    item = LimitRangeItem(type=type, **bounds)
    return LimitRange(metadata=ObjectMeta(name="l", namespace="default"), spec=LimitRangeSpec(limits=(item,)))


def pod(*containers: Resources, init: Resources | None = None) -> dict[str, Any]:
    spec = PodSpec(
        containers=tuple(Container(name=f"c{n}", resources=one) for n, one in enumerate(containers)),
        init_containers=(Container(name="i", resources=init),) if init is not None else (),
    )
    return to_dict(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))


def test_what_is_missing_is_filled_in_and_told() -> None:
    new = pod(Resources(requests={"cpu": "1"}), init=Resources())
    set_defaults(new, limits(default={"cpu": "500m"}, default_request={"cpu": "100m", "memory": "1Mi"}))
    assert new["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "500m"},
    }  # fmt: skip
    assert new["metadata"]["annotations"][ANNOTATION] == (
        "LimitRanger plugin set: memory request for container c0; cpu limit for container c0; "
        "cpu, memory request for init container i; cpu limit for init container i"
    )


@pytest.mark.parametrize(
    ("range_", "asked", "problem"),
    [
        (
            limits(min={"cpu": "100m"}),
            Resources(),
            "minimum cpu usage per Container is 100m.  No request is specified",
        ),
        (
            limits(min={"cpu": "100m"}),
            Resources(requests={"cpu": "10m"}),
            "minimum cpu usage per Container is 100m, but request is 10m",
        ),
        (
            limits(max={"memory": "1Gi"}),
            Resources(limits={"memory": "2048Mi"}),
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (limits(max={"cpu": "1"}), Resources(), "maximum cpu usage per Container is 1.  No limit is specified"),
        (
            limits(max_limit_request_ratio={"cpu": "2"}),
            Resources(requests={"cpu": "100m"}, limits={"cpu": "250m"}),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000",
        ),
        (
            limits("Pod", max={"cpu": "1"}),
            Resources(limits={"cpu": "600m"}),
            "maximum cpu usage per Pod is 1, but limit is 1200m",
        ),
    ],
)
def test_bounds_are_kept(range_: LimitRange, asked: Resources, problem: str) -> None:
    assert list(dict.fromkeys(violations("pods", pod(asked, asked), range_))) == [problem]


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ("1Gi", ""),
        ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
    ],
)
def test_claims_are_bounded_by_what_they_request(size: str, problem: str) -> None:
    claim = {"metadata": {"name": "c"}, "spec": {"resources": {"requests": {"storage": size}}}}
    range_ = limits("PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "2Gi"})
    assert "".join(violations("persistentvolumeclaims", claim, range_)) == problem


def test_a_pod_that_breaks_a_limit_is_forbidden() -> None:
    async def scene() -> None:
        cluster = await Cluster.open()
        cluster.admit("LimitRanger")
        await cluster.client.create(limits(max={"cpu": "1"}))
        spec = PodSpec(containers=(Container(name="c", image="x", resources=Resources(limits={"cpu": "2"})),))
        with pytest.raises(Forbidden, match='pods "p" is forbidden: maximum cpu usage per Container is 1'):
            await cluster.client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))

    asyncio.run(scene())
