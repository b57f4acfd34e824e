"""A vendor's device plugin beside a real node: containers see their devices and no others, kill -9 or not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines import Machine, Network
from tests.node.pods import IMAGE, Namespace

pytestmark = pytest.mark.node

RESOURCE = "vendor.example/null"
LONG = 90
"""Seconds that anything may take where others keep all cores busy."""
MORTAL = "trap 'exit 1' TERM; while :; do sleep 1; done"


class Vendor:
    """The plugin on a machine, a process as any vendor's."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._state = machine, machine.root / "vendor" / "offer.json"
        self._state.parent.mkdir()
        self.offer(null0="Healthy", null1="Healthy")
        directory = machine.root / "kubelet" / "device-plugins"
        command = [sys.executable, "-m", "tests.device_plugin", str(directory), RESOURCE, str(self._state)]
        self.process = subprocess.Popen([*machine.enter, *command], env=machine.environment)

    def offer(self, *, more: dict[str, Any] | None = None, **devices: str) -> None:
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps({"devices": devices, **(more or {})}))
        fresh.rename(self._state)

    def supplied(self, capacity: int, allocatable: int) -> None:
        """Until the node's status says so."""

        def says() -> bool:
            status = json.loads(self._machine.kubectl("get", "node", self._machine.name, "-o", "json"))["status"]
            return (status["capacity"].get(RESOURCE), status["allocatable"].get(RESOURCE)) == (
                str(capacity),
                str(allocatable),
            )

        self._machine.wait(says, LONG)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network("dev") as network:
        found = network.machine()
        found.serve()
        yield found


@pytest.fixture(scope="module")
def vendor(machine: Machine) -> Iterator[Vendor]:
    found = Vendor(machine)
    yield found
    found.close()


@pytest.fixture
def ns(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    namespace = Namespace(machine, request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-"))
    yield namespace
    namespace.close()


def user(name: str, count: int = 1, script: str = MORTAL, **spec: Any) -> dict[str, Any]:
    """A pod whose container has `count` devices."""
    container = {
        "name": "c0",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "resources": {"limits": {RESOURCE: str(count)}},
    }
    given = {"containers": [container], "terminationGracePeriodSeconds": 0, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": given}


def devices(ns: Namespace, name: str) -> str:
    """What the container's environment names; each of them is there, and only these."""
    script = 'for each in $(echo $VENDOR_DEVICES | tr , " "); do echo x > /dev/$each || exit 1; done; ls /dev'
    listed = ns.kubectl("exec", name, "--", "sh", "-c", script).split()
    named = ns.kubectl("exec", name, "--", "sh", "-c", "echo $VENDOR_DEVICES").strip()
    assert [each for each in listed if each.startswith("null") and each != "null"] == named.split(",")
    return named


def health(ns: Namespace, name: str) -> list[tuple[str, str]]:
    [status] = ns.get("pod", name)["status"]["containerStatuses"]
    [resource] = status["allocatedResourcesStatus"]
    assert resource["name"] == RESOURCE
    return [(each["resourceID"], each["health"]) for each in resource["resources"]]


def test_containers_see_their_own_devices_whatever_dies(machine: Machine, vendor: Vendor, ns: Namespace) -> None:
    vendor.supplied(2, 2)
    ns.apply(user("one"), user("two"))
    ns.kubectl("wait", "--for=condition=Ready", "pod/one", "pod/two", f"--timeout={LONG}s")
    has = {name: devices(ns, name) for name in ("one", "two")}
    assert sorted(has.values()) == ["null0", "null1"]
    assert "offer.json" in ns.kubectl("exec", "one", "--", "ls", "/vendor")
    ns.apply(user("three"))
    machine.wait(lambda: f"Insufficient {RESOURCE}" in ns.kubectl("describe", "pod", "three"), LONG)

    machine.kill()
    machine.serve()
    machine.wait(lambda: {name: devices(ns, name) for name in has} == has, LONG)  # as soon as the node answers
    ns.kubectl("exec", "one", "--", "kill", "1")  # its successor has the same device
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    machine.wait(lambda: ns.kubectl("get", "pod", "one", "-o", restarts) == "1", LONG)
    ns.kubectl("wait", "--for=condition=Ready", "pod/one", f"--timeout={LONG}s")
    assert devices(ns, "one") == has["one"]

    vendor.supplied(2, 2)
    ns.kubectl("delete", "pod", "two", "--wait=true")
    ns.kubectl("wait", "--for=condition=Ready", "pod/three", f"--timeout={LONG}s")
    assert devices(ns, "three") == has["two"]


def test_what_ails_a_device_is_told_of_node_and_pod(machine: Machine, vendor: Vendor, ns: Namespace) -> None:
    vendor.supplied(2, 2)
    ns.apply(user("p", 2))
    ns.kubectl("wait", "--for=condition=Ready", "pod/p", f"--timeout={LONG}s")
    assert health(ns, "p") == [("null0", "Healthy"), ("null1", "Healthy")]
    vendor.offer(null0="Unhealthy", null1="Healthy")
    vendor.supplied(2, 1)
    machine.wait(lambda: health(ns, "p") == [("null0", "Unhealthy"), ("null1", "Healthy")], LONG)
    vendor.offer(null0="Healthy", null1="Healthy")
    vendor.supplied(2, 2)


def test_a_pod_that_its_plugin_gives_nothing_is_refused(machine: Machine, vendor: Vendor, ns: Namespace) -> None:
    vendor.offer(null0="Healthy", null1="Healthy", more={"fail": "no power"})
    vendor.supplied(2, 2)
    ns.apply(user("p"))
    machine.wait(lambda: ns.phase("p") == "Failed", LONG)
    status = ns.get("pod", "p")["status"]
    assert status["reason"] == "UnexpectedAdmissionError"
    why = "Allocate failed due to rpc error: code = Internal desc = no power, which is unexpected"
    assert status["message"] == f"Pod was rejected: {why}"
    machine.wait(
        lambda: why in ns.kubectl("get", "events", "--field-selector=reason=UnexpectedAdmissionError"), LONG
    )
    vendor.offer(null0="Healthy", null1="Healthy")
    ns.apply(user("q", 2))
    ns.kubectl("wait", "--for=condition=Ready", "pod/q", f"--timeout={LONG}s")


def test_a_plugin_that_goes_takes_its_devices_out_of_use(machine: Machine, vendor: Vendor) -> None:
    vendor.supplied(2, 2)
    vendor.close()
    vendor.supplied(2, 0)
    assert Path(machine.root / "kubelet/device-plugins/kubelet.sock").is_socket()
