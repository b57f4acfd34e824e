"""scheduling/limitrange: defaults and bounds of containers."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod
from tests.conformance.verbs import check_verbs

pytestmark = pytest.mark.conformance

KIND = "v1/LimitRange"


def limits(name: str, least: Obj, most: Obj, default: Obj, request: Obj) -> Obj:
    item = {"type": "Container", "min": least, "max": most, "default": default, "defaultRequest": request}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": [item]}}


def amounts(cpu: str, memory: str, storage: str) -> Obj:
    return {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}


def asking(name: str, requests: Obj, bounds: Obj) -> Obj:
    made = pod(name)
    made["spec"]["containers"][0]["resources"] = {"requests": requests, "limits": bounds}
    return made


@row("LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.")
def test_defaults_and_bounds_are_put_to_pods(space: Space):
    least, most = amounts("50m", "100Mi", "100Gi"), amounts("500m", "500Mi", "500Gi")
    default, request = amounts("500m", "500Mi", "500Gi"), amounts("100m", "200Mi", "200Gi")
    since = space.version(KIND)
    made = space.create(limits("limit-range", least, most, default, request))
    seen = space.until(KIND, lambda one: True, since=since, type="ADDED")
    assert seen["spec"] == made["spec"] == limits("", least, most, default, request)["spec"]
    given = space.create(pod("pod-no-resources"))["spec"]["containers"][0]["resources"]
    assert given == {"requests": request, "limits": default}
    some = asking("pod-partial-resources", {"cpu": "150m", "memory": "150Mi"}, {"cpu": "300m"})
    given = space.create(some)["spec"]["containers"][0]["resources"]
    assert given["requests"] == {"cpu": "300m", "memory": "150Mi", "ephemeral-storage": "200Gi"} | {"cpu": "150m"}
    assert given["limits"] == {"cpu": "300m", "memory": "500Mi", "ephemeral-storage": "500Gi"}
    low = asking("too-small", amounts("10m", "50Mi", "50Gi"), {})
    assert (
        space.ask("POST", "v1/Pod", body=low)
        .refused(403, "Forbidden")
        .startswith('pods "too-small" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m')
    )
    high = asking("too-large", amounts("600m", "600Mi", "600Gi"), amounts("600m", "600Mi", "600Gi"))
    assert "maximum memory usage per Container is 500Mi, but limit is 600Mi" in space.ask(
        "POST", "v1/Pod", body=high
    ).refused(403, "Forbidden")
    item = made["spec"]["limits"][0]
    item["min"] = amounts("9m", "49Mi", "49Gi")
    space.update(made)
    assert space.create(low)["metadata"]["name"] == "too-small"
    space.ask("POST", "v1/Pod", body=high).refused(403, "Forbidden")
    space.delete(KIND, "limit-range", {"gracePeriodSeconds": 30})
    space.wait(lambda: space.gone(KIND, "limit-range"))
    space.create(high)


@row("LimitRange should list, patch and delete a LimitRange by collection")
def test_all_verbs(space: Space):
    def made(name: str) -> Obj:
        least, most = amounts("50m", "100Mi", "100Gi"), amounts("500m", "500Mi", "500Gi")
        return limits(name, least, most, most, amounts("100m", "200Mi", "200Gi"))

    left = check_verbs(space, made)
    least = {"cpu": "60m"}
    changed = {"spec": {"limits": [{**left["spec"]["limits"][0], "min": least}]}}
    patched = space.patch(KIND, left["metadata"]["name"], changed)
    assert patched["spec"]["limits"][0]["min"] == least
