"""A node that runs short: pods over their limits, memory pressure, large logs; with real containers."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import busybox_archive
from tests.machines import Machine, Network, sh

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


# ---- a disk of its own, that fills up ------------------------------------------------------------------------

DISK_MEBIBYTES = 240
WRITERS = """
apiVersion: v1
kind: Pod
metadata: {name: modest}
spec:
  terminationGracePeriodSeconds: 0
  priority: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/own bs=1M count=4; sleep 3600"]
    resources: {requests: {ephemeral-storage: 8Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: over}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/own bs=1M count=6; sleep 3600"]
---
apiVersion: v1
kind: Pod
metadata: {name: worst}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/own bs=1M count=10; while [ ! -e /more ]; do sleep 0.2; done;
      dd if=/dev/zero of=/rest bs=1M count=LEFT; sleep 3600"]
---
apiVersion: v1
kind: Pod
metadata: {name: done}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "dd if=/dev/zero of=/own bs=1M count=4"]
"""


@pytest.fixture
def small(network: Network) -> Iterator[Machine]:
    """A machine whose data directory is a file system of its own."""
    machine = network.machine()
    image, data = machine.root / "disk.img", machine.root / "data"
    with image.open("wb") as file:
        file.truncate(DISK_MEBIBYTES << 20)
    sh("mkfs.ext4", "-q", "-m", "0", "-N", "6000", str(image))
    sh("mount", "-o", "loop", str(image), str(data))
    (data / "agent/images").mkdir(parents=True)
    busybox_archive(data / "agent/images/busybox.tar")
    yield machine
    with contextlib.suppress(AssertionError):
        machine.stop()
    machine.minikube("uninstall", "--data", check=False)
    machine.power_off()


def free(machine: Machine) -> int:
    """Mebibytes."""
    found = os.statvfs(machine.root / "data")
    return found.f_bavail * found.f_frsize >> 20


def condition(machine: Machine, type: str) -> str:
    return machine.kubectl(
        "get", "node", machine.name, "-o", f"jsonpath={{.status.conditions[?(@.type=='{type}')].status}}"
    )


def taints(machine: Machine) -> str:
    return machine.kubectl("get", "node", machine.name, "-o", "jsonpath={.spec.taints[*].key}")


def images(machine: Machine) -> str:
    return machine.minikube("image", "ls")


def test_a_full_disk_costs_unused_images_first_then_the_pod_that_exceeds_its_request_most(small: Machine) -> None:
    machine = small
    busybox_archive(machine.root / "unused.tar", "unused:test", command=("unused",))
    machine.serve(
        "--eviction-hard", "nodefs.available<60Mi", "--eviction-pressure-transition-period", "5s",
        "--image-minimum-gc-age", "0s",
    )  # fmt: skip
    machine.minikube("image", "load", str(machine.root / "unused.tar"))
    assert "unused:test" in images(machine)
    machine.kubectl("apply", "-f", "-", stdin=WRITERS.replace("LEFT", str(free(machine) - 20 - 45)))
    machine.kubectl("wait", "--for=condition=Ready", "pod/modest", "pod/over", "pod/worst", "--timeout=30s")
    machine.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=30s")
    machine.kubectl("exec", "worst", "--", "touch", "/more")
    machine.wait(lambda: condition(machine, "DiskPressure") == "True", 40)
    machine.wait(lambda: "node.kubernetes.io/disk-pressure" in taints(machine))
    machine.wait(lambda: status(machine, "worst").startswith("Failed"), 40)
    told = status(machine, "worst")
    low = "The node was low on resource: ephemeral-storage. Threshold quantity: 60Mi, available: "
    assert told.startswith(f"Failed Evicted: {low}")
    assert "Container c was using " in told
    assert told.endswith("Ki, request is 0, has larger consumption of ephemeral-storage. ")
    reasons = machine.kubectl("get", "events", "-A", "-o", "jsonpath={.items[*].reason}").split()
    assert {"EvictionThresholdMet", "NodeHasDiskPressure", "Evicted"} <= set(reasons)
    assert "unused:test" not in images(machine)  # garbage went before any pod did
    assert "busybox:test" in images(machine)
    assert "pause" in images(machine)  # pinned
    machine.wait(lambda: condition(machine, "DiskPressure") == "False", 40)
    machine.wait(lambda: "disk-pressure" not in taints(machine))
    for pod in ("modest", "over"):
        assert status(machine, pod).startswith("Running"), pod
    assert machine.kubectl("get", "pod", "done", "--no-headers").split()[2] == "Completed"
    machine.kubectl("run", "after", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/after", "--timeout=30s")


def test_more_than_the_threshold_is_reclaimed_where_that_is_asked_for(small: Machine) -> None:
    machine = small
    machine.serve(
        "--eviction-hard", "nodefs.available<60Mi", "--eviction-minimum-reclaim", "nodefs.available=25Mi",
        "--eviction-pressure-transition-period", "5s",
    )  # fmt: skip
    for name, size in (("large", 20), ("small", 10)):
        command = f"dd if=/dev/zero of=/own bs=1M count={size}; sleep 3600"
        machine.kubectl("run", name, "--image=busybox:test", "--", "sh", "-c", command)
        written = ("exec", name, "--", "stat", "-c", "%s", "/own")
        expected = f"{size << 20}\n"
        machine.wait(lambda w=written, e=expected: machine.kubectl(*w) == e, 40)  # type: ignore[misc]
    sh("dd", "if=/dev/zero", f"of={machine.root}/data/filler", "bs=1M", f"count={free(machine) - 56}")
    machine.wait(lambda: status(machine, "large").startswith("Failed"), 60)
    machine.wait(lambda: free(machine) >= 70, 30)
    machine.wait(lambda: status(machine, "small").startswith("Failed"), 60)
    machine.wait(lambda: condition(machine, "DiskPressure") == "False", 60)


def test_a_disk_without_inodes_evicts_who_holds_most(small: Machine) -> None:
    machine = small
    machine.serve("--eviction-hard", "nodefs.inodesFree<2000", "--eviction-pressure-transition-period", "5s")
    for name, files in (("few", 10), ("many", 1000)):
        command = f"mkdir /d; i=0; while [ $i -lt {files} ]; do : > /d/$i; i=$((i+1)); done; sleep 3600"
        machine.kubectl("run", name, "--image=busybox:test", "--", "sh", "-c", command)
    summary = f"/api/v1/nodes/{machine.name}/proxy/stats/summary"
    inodes = re.compile(r'"rootfs":{[^}]*"inodesUsed":(\d+)')
    machine.wait(lambda: any(int(n) > 1000 for n in inodes.findall(machine.kubectl("get", "--raw", summary))), 60)
    filler = machine.root / "data/filler"
    filler.mkdir()
    for number in range(os.statvfs(filler).f_favail - 1500):
        (filler / str(number)).touch()
    machine.wait(lambda: status(machine, "many").startswith("Failed"), 60)
    low = "The node was low on resource: inodes. Threshold quantity: 2k, available: "
    assert status(machine, "many").startswith(f"Failed Evicted: {low}")
    assert status(machine, "few").startswith("Running")
    shutil.rmtree(filler)
    machine.wait(lambda: condition(machine, "DiskPressure") == "False", 40)
    assert status(machine, "few").startswith("Running")


def test_a_node_without_processes_left_says_so_and_evicts(network: Network) -> None:
    machine = network.machine()
    machine.serve("--eviction-pressure-transition-period", "5s")
    for name, processes in (("one", 1), ("several", 5)):
        command = "sleep 3600 & " * processes + "wait"
        machine.kubectl("run", name, "--image=busybox:test", "--", "sh", "-c", command)
        machine.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=20s")
    machine.stop()
    machine.serve("--eviction-hard", "pid.available<10M", "--eviction-pressure-transition-period", "5s")
    machine.wait(lambda: status(machine, "several").startswith("Failed"), 60)
    low = "The node was low on resource: pids. Threshold quantity: 10M, available: "
    assert status(machine, "several").startswith(f"Failed Evicted: {low}")
    machine.wait(lambda: condition(machine, "PIDPressure") == "True")
    machine.wait(lambda: "node.kubernetes.io/pid-pressure" in taints(machine))
    machine.stop()
    machine.serve("--eviction-pressure-transition-period", "5s")
    machine.wait(lambda: condition(machine, "PIDPressure") == "False")
    machine.wait(lambda: "pid-pressure" not in taints(machine))


def test_images_that_nobody_uses_go_when_the_disk_passes_its_mark(small: Machine) -> None:
    machine = small
    for name in ("one", "two"):
        busybox_archive(machine.root / f"{name}.tar", f"{name}:test", command=(name,))
    machine.serve()
    for name in ("one", "two"):
        machine.minikube("image", "load", str(machine.root / f"{name}.tar"))
    machine.kubectl("run", "user", "--image=two:test", "--image-pull-policy=Never", "--", "sleep", "3600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/user", "--timeout=30s")
    machine.stop()
    used = 100 - 100 * free(machine) // DISK_MEBIBYTES
    machine.serve(
        "--image-gc-high-threshold", str(used - 3), "--image-gc-low-threshold", "1", "--image-minimum-gc-age", "0s"
    )
    machine.wait(lambda: "one:test" not in images(machine))
    assert "two:test" in images(machine)
    assert "busybox:test" in images(machine)  # its archive lies in the images directory
    failed = "reason=FreeDiskSpaceFailed"
    machine.wait(lambda: "Failed to garbage collect required amount of images" in machine.kubectl(
        "get", "events", "-A", "--field-selector", failed
    ))  # fmt: skip
    assert status(machine, "user").startswith("Running")


def test_a_disk_without_a_single_byte_breaks_nothing_for_good(small: Machine) -> None:
    machine = small
    machine.serve("--eviction-hard", "memory.available<1Mi", "--image-gc-high-threshold", "100")
    machine.kubectl("run", "before", "--image=busybox:test", "--", "sh", "-c", "while true; do date; sleep 1; done")
    machine.kubectl("wait", "--for=condition=Ready", "pod/before", "--timeout=20s")
    filler = machine.root / "data/filler"
    fill(filler)
    refused = machine.refused("create", "-f", "-", stdin=LARGE)
    assert "Error from server" in refused
    assert machine.kubectl("get", "pod", "before", "--no-headers").split()[2] == "Running"
    assert machine.kubectl("exec", "before", "--", "echo", "still here") == "still here\n"
    machine.run("kubectl", "delete", "pod", "before", "--wait=false", check=False)
    fill(filler)
    filler.unlink()
    machine.kubectl("run", "after", "--image=busybox:test", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/after", "--timeout=60s")
    machine.kubectl("create", "-f", "-", stdin=LARGE)
    machine.kubectl("delete", "pod", "before", "--ignore-not-found", "--timeout=60s")
    assert machine.process is not None
    assert machine.process.poll() is None
    assert machine.ready(machine.name)


LARGE = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: c}}
data: {{a: {"x" * 500_000}}}
"""


def fill(path: Path) -> None:
    """The rest of the file system."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
