"""A machine that goes down, told by a real systemd-logind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.logind import Logind, logind
from tests.machines import Machine, Network
from tests.node.pods import Namespace, pod

pytestmark = pytest.mark.node
ENDS_SLOWLY = "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logind]:
    with logind(tmp_path_factory.mktemp("logind")) as found:
        yield found


@pytest.fixture(scope="module")
def shaky(told: Logind) -> Iterator[Machine]:
    """Its pods have up to 8 s, the important ones 4 s more."""
    with Network("shd") as network:
        machine = network.machine(shutdown_grace_period_by_pod_priority="0=8s,1000=4s")
        machine.mounts = told.mounts
        machine.variables["DBUS_SYSTEM_BUS_ADDRESS"] = told.address
        machine.serve()
        yield machine


def conditions(machine: Machine) -> str:
    path = 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{end}'
    return machine.kubectl("get", "node", machine.name, "-o", path)


def test_pods_end_before_the_machine_does_the_important_ones_last(shaky: Machine, told: Logind) -> None:
    ns = Namespace(shaky, "down")
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 2000}
    shaky.kubectl("apply", "-f", "-", stdin=str({**important, "metadata": {"name": "important"}}).replace("'", '"'))
    slow = {"terminationGracePeriodSeconds": 30, "restartPolicy": "Always"}
    ns.apply(pod("ordinary", ENDS_SLOWLY, **slow), pod("last", ENDS_SLOWLY, priorityClassName="important", **slow))
    ns.running("ordinary", "last")
    shaky.wait(lambda: "minikube" in told.inhibitors())
    told.power_off()
    shaky.wait(lambda: conditions(shaky) == "False KubeletNotReady node is shutting down", 10)
    assert told.asked.wait(15)
    assert "minikube" not in told.inhibitors()
    ended = {}
    for name in ("ordinary", "last"):
        status = ns.get("pod", name)["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
        assert status["message"] == "Pod was terminated in response to imminent node shutdown."
        disruption = next(each for each in status["conditions"] if each["type"] == "DisruptionTarget")
        assert (disruption["status"], disruption["reason"]) == ("True", "TerminationByKubelet")
        ended[name] = status["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert ended["ordinary"] < ended["last"]
    ns.apply(pod("late", "true", nodeName=shaky.name))
    shaky.wait(lambda: ns.get("pod", "late")["status"].get("reason") == "NodeShutdown")
    assert (
        ns.get("pod", "late")["status"]["message"]
        == "Pod was rejected: Pod was rejected as the node is shutting down."
    )


def test_a_shutdown_that_is_called_off_makes_the_node_ready_again(shaky: Machine, told: Logind) -> None:
    told.call_off()
    shaky.wait(lambda: conditions(shaky) == "True KubeletReady kubelet is posting ready status", 15)
    shaky.wait(lambda: "minikube" in told.inhibitors())
    ns = Namespace(shaky, "up")
    ns.apply(pod("again", "echo here"))
    assert ns.output("again") == "here\n"
    reasons = shaky.kubectl("get", "events", "-A", "-o", "jsonpath={.items[?(@.reason=='NodeShutdown')].message}")
    assert "Shutdown manager detected shutdown event" in reasons
    assert "Shutdown manager detected shutdown cancellation" in reasons
