"""A full node of pods with probes every second, beside a client that lists 30 MB without pause for a minute.

Needs root and containerd; the same with fewer pods is a test (tests/cluster/test_busy_server.py).
"""

from __future__ import annotations

import os
import time

from tests.cluster.test_busy_server import hold
from tests.machines import Network
from tests.usage import burnt, resident

PODS, SECONDS = 110, 60
REST_SECONDS = 20


async def run() -> None:
    with Network(f"b{os.getpid()}") as network:
        machine = network.machine()
        machine.serve("--max-pods", "120")
        held = hold(machine, PODS, SECONDS)
        print(
            f"probes: {PODS} pods, {held.lists} lists in {SECONDS} s: {held.restarts} restarts, "
            f"{held.core:.0%} of a core, RSS {held.resident} MB"
        )
        machine.kubectl("delete", "configmap", "--all", timeout=120)
        assert machine.process is not None
        pid = machine.process.pid
        before = burnt(pid)
        time.sleep(REST_SECONDS)
        share = (burnt(pid) - before) / REST_SECONDS
        print(f"probes: {PODS} pods, no lists: {share:.1%} of a core, RSS {resident(pid)} MB")
