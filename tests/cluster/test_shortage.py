"""A node that runs short: pods over their limits, memory pressure, large logs; with real containers."""

from __future__ import annotations

import gzip

import pytest

from tests.machines import Machine, Network

pytestmark = pytest.mark.node

GREEDY = """
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/big bs=1M count=5; sleep 600"]
    resources: {limits: {ephemeral-storage: 2Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: cache}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/cache/big bs=1M count=5; sleep 600"]
    volumeMounts: [{name: cache, mountPath: /cache}]
  volumes: [{name: cache, emptyDir: {sizeLimit: 2Mi}}]
---
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "while true; do seq 1 2000; sleep 1; done"]
"""


def status(machine: Machine, pod: str) -> str:
    path = "jsonpath={.status.phase} {.status.reason}: {.status.message}"
    return machine.kubectl("get", "pod", pod, "-o", path)


def test_pods_over_their_own_limits_are_evicted_and_large_logs_rotated(network: Network) -> None:
    machine = network.machine()
    machine.serve("--container-log-max-size", "20Ki", "--container-log-max-files", "3")
    machine.kubectl("apply", "-f", "-", stdin=GREEDY)
    machine.wait(lambda: status(machine, "greedy").startswith("Failed"), 60)
    text = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
    assert status(machine, "greedy") == f"Failed Evicted: {text}"
    machine.wait(lambda: status(machine, "cache").startswith("Failed"), 60)
    assert status(machine, "cache") == 'Failed Evicted: Usage of EmptyDir volume "cache" exceeds the limit "2Mi". '
    assert "Evicted" in machine.kubectl("get", "events", "--field-selector", "involvedObject.name=greedy")
    disrupted = "jsonpath={.status.conditions[?(@.type=='DisruptionTarget')].reason}"
    assert machine.kubectl("get", "pod", "greedy", "-o", disrupted) == "TerminationByKubelet"

    def logs() -> list[str]:
        return sorted(path.name for path in (machine.root / "logs").glob("default_talker_*/c/*"))

    machine.wait(lambda: any(name.endswith(".gz") for name in logs()), 60)
    assert "0.log" in logs()
    assert len(logs()) <= 3
    packed = next((machine.root / "logs").glob("default_talker_*/c/*.gz"))
    assert b"stdout F 1" in gzip.decompress(packed.read_bytes())
    machine.wait(lambda: "2000" in machine.kubectl("logs", "talker", "--tail=5"), 10)


def test_a_node_short_of_memory_says_so_evicts_and_recovers(network: Network) -> None:
    machine = network.machine()
    machine.serve()
    machine.kubectl("run", "asks", "--image=busybox:test", "--overrides", BURSTABLE, "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/asks", "--timeout=20s")
    machine.stop()
    machine.serve("--eviction-hard", "memory.available<10Ti", "--eviction-pressure-transition-period", "5s")
    pressure = "jsonpath={.status.conditions[?(@.type=='MemoryPressure')].status}"
    machine.wait(lambda: machine.kubectl("get", "node", machine.name, "-o", pressure) == "True")
    machine.kubectl("run", "late", "--image=busybox:test", "--overrides", TOLERANT, "--", "sleep", "600")
    machine.wait(lambda: status(machine, "late").startswith("Failed"))
    rejected = "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert status(machine, "late") == f"Failed Evicted: {rejected}"
    machine.wait(lambda: status(machine, "asks").startswith("Failed"), 60)
    low = "The node was low on resource: memory. Threshold quantity: 10Ti, available: "
    assert status(machine, "asks").startswith(f"Failed Evicted: {low}")
    machine.stop()
    machine.serve()
    machine.wait(lambda: machine.kubectl("get", "node", machine.name, "-o", pressure) == "False")


TOLERANT = '{"spec":{"tolerations":[{"operator":"Exists","effect":"NoSchedule"}]}}'
BURSTABLE = (
    '{"spec":{"terminationGracePeriodSeconds":0,"tolerations":[{"operator":"Exists","effect":"NoSchedule"}],'
    '"containers":[{"name":"asks","image":"busybox:test","args":["sleep","600"],'
    '"resources":{"requests":{"memory":"1Mi"}}}]}}'
)
