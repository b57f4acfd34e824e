"""Volumes when the agent dies, when nobody looks, and when the machine is rebooted: nothing lost, nothing left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import Machine, Network
from tests.node.pods import STILL, Namespace, config_map, pod, secret

pytestmark = pytest.mark.node

VOLUMES = [
    {"name": "disk", "emptyDir": {}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "c", "configMap": {"name": "c"}},
    {"name": "s", "secret": {"secretName": "s"}},
]
MOUNTS = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in VOLUMES]
MOUNTS.append({"name": "s", "mountPath": "/part", "subPath": "k"})


@pytest.fixture
def own() -> Iterator[Machine]:
    """A machine that this test may hurt."""
    with Network(f"f{os.getpid()}") as network:
        found = network.machine()
        found.serve()
        yield found


def mounts_of(directory: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line]


def test_volumes_outlive_a_killed_agent_and_follow_their_sources_again(own: Machine) -> None:
    ns = Namespace(own, "t")
    ns.apply(config_map("c", {"k": "one"}), secret("s", {"k": "one"}))
    writer = pod("writer", f"echo mine | tee /disk/f /memory/f; {STILL}", volumes=VOLUMES, mounts=MOUNTS)
    ns.apply(writer, pod("orphan", STILL, volumes=VOLUMES, mounts=MOUNTS))
    ns.running("writer", "orphan")
    kept, left = ns.directory("writer"), ns.directory("orphan")
    assert len(mounts_of(left)) == 4  # memory, s, the token, the sub path
    own.kill()
    own.serve("--disable-agent")
    ns.kubectl("delete", "pod", "orphan", "--grace-period=0", "--force")
    ns.apply(config_map("c", {"k": "two"}))
    own.stop()
    own.serve()
    own.wait(lambda: not left.exists())
    assert mounts_of(left) == []
    ns.apply(secret("s", {"k": "two"}))
    ns.seen("writer", "cat /disk/f /memory/f /c/k /s/k /part", "mine\nmine\ntwotwoone")
    ns.kubectl("delete", "pod", "writer")
    own.wait(lambda: not kept.exists())


def test_a_reboot_keeps_disks_and_empties_memory(own: Machine) -> None:
    ns = Namespace(own, "t")
    ns.apply(config_map("c", {"k": "one"}), secret("s", {"k": "one"}))
    script = f"echo $(cat /disk/f /memory/f 2>/dev/null) > /disk/seen; echo x | tee /disk/f /memory/f; {STILL}"
    ns.apply(pod("writer", script, volumes=VOLUMES, mounts=MOUNTS, restartPolicy="Always"))
    ns.running("writer")
    own.power_off()
    assert mounts_of(own.root) == []
    own.serve()
    restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
    own.wait(lambda: ns.kubectl("get", "pod", "writer", "-o", restarts) == "1")
    ns.seen("writer", "cat /disk/seen /memory/f /c/k /s/k /part", "x\nx\noneoneone")
