"""storage/downward-volume and projected downwardAPI: what a pod is told of itself in files, plain and projected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, pod, shell

pytestmark = pytest.mark.conformance

RESOURCES = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}}


def field(path: str, of: str, **how: Any) -> Obj:
    return {"path": path, "fieldRef": {"fieldPath": of}, **how}


def amount(path: str, resource: str) -> Obj:
    return {"path": path, "resourceFieldRef": {"containerName": "main", "resource": resource}}


def told(script: str, items: list[Obj], *, projected: bool, mode: int | None = None, **main: Any) -> Obj:
    """A pod with the items at /etc/podinfo."""
    default = {} if mode is None else {"defaultMode": mode}
    volume: Obj = {"name": "podinfo", "downwardAPI": {"items": items, **default}}
    if projected:
        volume = {"name": "podinfo", "projected": {"sources": [{"downwardAPI": {"items": items}}], **default}}
    made = pod("told", *shell(script), volumes=[volume])
    made["spec"]["containers"][0] |= {"volumeMounts": [{"name": "podinfo", "mountPath": "/etc/podinfo"}], **main}
    return made


@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(
            False,
            marks=row(
                "Downward API volume should provide podname only",
                "Downward API volume should provide container's cpu limit",
                "Downward API volume should provide container's cpu request",
                "Downward API volume should provide container's memory limit",
                "Downward API volume should provide container's memory request",
            ),
            id="plain",
        ),
        pytest.param(
            True,
            marks=row(
                "Projected downwardAPI should provide podname only",
                "Projected downwardAPI should provide container's cpu limit",
                "Projected downwardAPI should provide container's cpu request",
                "Projected downwardAPI should provide container's memory limit",
                "Projected downwardAPI should provide container's memory request",
            ),
            id="projected",
        ),
    ],
)
def test_name_and_resources_are_told(space: Space, projected: bool):
    """Amounts are rounded up to the divisor, here 1."""
    items = [
        field("podname", "metadata.name"),
        *(amount(each.replace(".", "-"), each) for each in ("limits.cpu", "requests.cpu")),
        *(amount(each.replace(".", "-"), each) for each in ("limits.memory", "requests.memory")),
    ]
    script = "cd /etc/podinfo; for f in *; do echo $f $(cat $f) $(stat -L -c %A $f); done"
    assert space.output(told(script, items, projected=projected, resources=RESOURCES)).splitlines() == [
        "limits-cpu 2 -rw-r--r--",
        "limits-memory 67108864 -rw-r--r--",
        "podname told -rw-r--r--",
        "requests-cpu 1 -rw-r--r--",
        "requests-memory 33554432 -rw-r--r--",
    ]


@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(
            False,
            marks=row(
                "Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set",
                "Downward API volume should provide node allocatable (memory) as default memory limit"
                " if the limit is not set",
            ),
            id="plain",
        ),
        pytest.param(
            True,
            marks=row(
                "Projected downwardAPI should provide node allocatable (cpu) as default cpu limit"
                " if the limit is not set",
                "Projected downwardAPI should provide node allocatable (memory) as default memory limit"
                " if the limit is not set",
            ),
            id="projected",
        ),
    ],
)
def test_without_a_limit_it_is_what_the_node_has(space: Space, projected: bool):
    items = [amount("cpu", "limits.cpu"), amount("memory", "limits.memory")]
    said = space.output(told("cat /etc/podinfo/cpu; echo; cat /etc/podinfo/memory", items, projected=projected))
    cpu, memory = said.split()
    node = space.get("v1/Node", space.get("v1/Pod", "told")["spec"]["nodeName"])["status"]["allocatable"]
    assert cpu == node["cpu"]
    assert memory == str(int(node["memory"].removesuffix("Ki")) * 1024)


@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(
            False,
            marks=row(
                "Downward API volume should set DefaultMode on files",
                "Downward API volume should set mode on item file",
            ),
            id="plain",
        ),
        pytest.param(
            True,
            marks=row(
                "Projected downwardAPI should set DefaultMode on files",
                "Projected downwardAPI should set mode on item file",
            ),
            id="projected",
        ),
    ],
)
def test_files_have_the_mode_of_the_volume_or_their_own(space: Space, projected: bool):
    items = [field("usual", "metadata.name"), field("own", "metadata.name", mode=0o440)]
    script = "stat -L -c '%n %A' /etc/podinfo/*"
    assert space.output(told(script, items, projected=projected, mode=0o400)).splitlines() == [
        "/etc/podinfo/own -r--r-----",
        "/etc/podinfo/usual -r--------",
    ]


@pytest.mark.parametrize(
    "projected",
    [
        pytest.param(
            False,
            marks=row(
                "Downward API volume should update labels on modification",
                "Downward API volume should update annotations on modification",
            ),
            id="plain",
        ),
        pytest.param(
            True,
            marks=row(
                "Projected downwardAPI should update labels on modification",
                "Projected downwardAPI should update annotations on modification",
            ),
            id="projected",
        ),
    ],
)
def test_changed_labels_and_annotations_are_seen(space: Space, projected: bool):
    items = [field("labels", "metadata.labels"), field("annotations", "metadata.annotations")]
    script = "cd /etc/podinfo; while :; do echo $(cat labels) $(cat annotations); usleep 100000; done"
    made = told(script, items, projected=projected)
    made["metadata"] |= {"labels": {"key1": "value1", "key2": "value2"}, "annotations": {"builder": "bar"}}
    space.run(made)
    space.wait(lambda: 'key1="value1" key2="value2" builder="bar"\n' in space.logs("told"))
    current = space.get("v1/Pod", "told")
    current["metadata"]["labels"]["key3"] = "value3"
    space.update(current)
    space.wait(lambda: 'key1="value1" key2="value2" key3="value3" builder="bar"\n' in space.logs("told"))
    current = space.get("v1/Pod", "told")
    current["metadata"]["annotations"]["builder"] = "foo"
    space.update(current)
    space.wait(lambda: 'key3="value3" builder="foo"\n' in space.logs("told"))
