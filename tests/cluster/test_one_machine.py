"""One machine with real containers, driven by the real kubectl."""

import pytest

from tests.machines import Network

pytestmark = pytest.mark.node


def test_a_pod_outlives_a_killed_server_and_is_adopted(network: Network) -> None:
    machine = network.machine()
    machine.serve()
    machine.kubectl("run", "p", "--image=busybox:test", "--restart=Never", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    before = machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].containerID}")
    address = machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.podIP}")
    machine.run("busybox", "ping", "-c1", "-W2", address)
    machine.kill()
    machine.run("busybox", "ping", "-c1", "-W2", address)
    machine.serve()
    status = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
    assert machine.kubectl("get", "pod", "p", "-o", status) == f"{before} 0"
    machine.run("busybox", "ping", "-c1", "-W2", address)


def test_a_rebooted_machine_runs_its_pods_again(network: Network) -> None:
    machine = network.machine()
    machine.serve()
    machine.kubectl("run", "p", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    machine.power_off()
    machine.serve()
    machine.wait(
        lambda: (
            machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].restartCount}") == "1"
        )
    )
    machine.kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    address = machine.kubectl("get", "pod", "p", "-o", "jsonpath={.status.podIP}")
    machine.run("busybox", "ping", "-c1", "-W2", address)
