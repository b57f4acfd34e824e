"""How containers begin and end where kubelet's rules are easily missed: hooks that fail, probes, deadlines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.machines import Machine
from tests.node.pods import Namespace, pod

pytestmark = pytest.mark.node
POLITE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


def status(ns: Namespace, name: str) -> Any:
    [found, *_] = ns.get("pod", name)["status"].get("containerStatuses") or [{}]
    return found


def test_a_failed_post_start_hook_is_followed_by_the_pre_stop_hook(machine: Machine, ns: Namespace) -> None:
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "exit 5"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo before > /dev/termination-log"]}},
    }
    made = pod("hooked", POLITE, terminationGracePeriodSeconds=20)
    made["spec"]["containers"][0]["lifecycle"] = hooks
    ns.apply(made)
    machine.wait(lambda: ns.phase("hooked") == "Succeeded", 40)
    assert status(ns, "hooked")["state"]["terminated"]["message"] == "before\n"


def test_what_fails_its_liveness_probe_runs_again_even_if_it_ends_well(machine: Machine, ns: Namespace) -> None:
    made = pod("alive", f"touch /bad; {POLITE}", restartPolicy="OnFailure", terminationGracePeriodSeconds=20)
    probe = {"exec": {"command": ["test", "!", "-e", "/bad"]}, "periodSeconds": 1, "failureThreshold": 1}
    made["spec"]["containers"][0]["livenessProbe"] = probe
    ns.apply(made)
    machine.wait(lambda: status(ns, "alive").get("restartCount", 0) >= 2, 60)
    ended = status(ns, "alive")["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert ns.phase("alive") == "Running"


def test_a_deadline_ends_a_pod_that_waits_for_its_image(machine: Machine, ns: Namespace) -> None:
    made = pod("late", POLITE, activeDeadlineSeconds=3)
    made["spec"]["containers"][0]["image"] = "127.0.0.1:1/nothing:v1"
    ns.apply(made)
    machine.wait(lambda: ns.phase("late") == "Failed", 40)
    assert ns.get("pod", "late")["status"]["reason"] == "DeadlineExceeded"
    ended = status(ns, "late")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerStatusUnknown", 137)
