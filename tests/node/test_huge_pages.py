"""Huge pages on a machine that has some: told of the node, mounted into pods, taken and given back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines import Machine, Network
from tests.node.pods import IMAGE, Namespace

pytestmark = pytest.mark.node

NUMBER = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
FREE = NUMBER.with_name("free_hugepages")
MINE = 8
LONG = 90
_numbers = itertools.count()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    before = NUMBER.read_text()
    NUMBER.write_text(str(int(before) + MINE))
    if int(NUMBER.read_text()) < int(before) + MINE:
        NUMBER.write_text(before)
        pytest.fail("the kernel has not enough memory in one piece")
    try:
        with Network("huge") as network:
            found = network.machine()
            found.serve()
            yield found
    finally:
        NUMBER.write_text(before)


@pytest.fixture
def ns(machine: Machine) -> Iterator[Namespace]:
    namespace = Namespace(machine, f"pages{next(_numbers)}")
    yield namespace
    namespace.close()


def user(name: str, medium: str, script: str, **limits: str) -> dict[str, Any]:
    container = {
        "name": "c0",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "resources": {"limits": {"memory": "32Mi", "cpu": "100m", **limits}},
        "volumeMounts": [{"name": "huge", "mountPath": "/huge"}],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": "huge", "emptyDir": {"medium": medium}}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_pod_uses_huge_pages_of_its_node(machine: Machine, ns: Namespace) -> None:
    node = json.loads(machine.kubectl("get", "node", machine.name, "-o", "json"))["status"]
    megabytes = int(NUMBER.read_text()) * 2
    assert node["capacity"]["hugepages-2Mi"] == node["allocatable"]["hugepages-2Mi"] == f"{megabytes}Mi"
    free = int(FREE.read_text())
    take = "fallocate -l 4194304 /huge/x && grep ' /huge ' /proc/mounts && exec sleep 3600"
    ns.apply(user("one", "HugePages", take, **{"hugepages-2Mi": "4Mi"}))
    ns.kubectl("wait", "--for=condition=Ready", "pod/one", f"--timeout={LONG}s")
    machine.wait(lambda: int(FREE.read_text()) <= free - 2, LONG)
    assert "pagesize=2M" in ns.kubectl("exec", "one", "--", "grep", " /huge ", "/proc/mounts")
    ns.apply(user("two", "HugePages-2Mi", "exec sleep 3600", **{"hugepages-2Mi": f"{megabytes}Mi"}))
    machine.wait(lambda: "Insufficient hugepages-2Mi" in ns.kubectl("describe", "pod", "two"), LONG)
    ns.kubectl("delete", "pod", "one")
    ns.kubectl("wait", "--for=condition=Ready", "pod/two", f"--timeout={LONG}s")
    machine.wait(lambda: int(FREE.read_text()) >= free, LONG)


def test_a_volume_of_huge_pages_needs_a_request_for_them(machine: Machine, ns: Namespace) -> None:
    ns.apply(user("p", "HugePages", "exec sleep 3600"))
    why = "medium HugePages: hugePages storage requested, but there is no resource request for huge pages"
    machine.wait(lambda: why in ns.kubectl("describe", "pod", "p"), LONG)
