"""Details of pods that are easily overlooked: signals, name servers, manifests that say little."""

from __future__ import annotations

import json
import time

import pytest

from minikube.node.host.cgroups import Cgroups
from tests.machines import Machine
from tests.node.pods import STILL, Namespace, pod

pytestmark = pytest.mark.node
USR1_ONLY = "trap '' TERM; trap 'exit 0' USR1; touch /ready; while :; do sleep 0.05; done"


def test_a_container_is_stopped_with_its_own_signal(machine: Machine, ns: Namespace) -> None:
    made = pod("usr1", USR1_ONLY, os={"name": "linux"}, terminationGracePeriodSeconds=40)
    made["spec"]["containers"][0]["lifecycle"] = {"stopSignal": "SIGUSR1"}
    ns.apply(made)
    ns.running("usr1")
    machine.wait(lambda: ns.inside("usr1", "ls /ready"))
    assert ns.get("pod", "usr1")["status"]["containerStatuses"][0]["stopSignal"] == "SIGUSR1"
    begun = time.monotonic()
    ns.kubectl("delete", "pod", "usr1", "--timeout=35s")
    assert time.monotonic() - begun < 35


def test_a_pod_that_is_over_has_no_control_group_any_more(machine: Machine, ns: Namespace) -> None:
    ns.apply(pod("brief", "while [ ! -e /end ]; do sleep 0.1; done"))
    ns.running("brief")
    uid = ns.get("pod", "brief")["metadata"]["uid"]
    groups = Cgroups(machine.cgroup)
    assert uid in groups.pods()
    ns.inside("brief", "touch /end")
    machine.wait(lambda: ns.phase("brief") == "Succeeded")
    machine.wait(lambda: uid not in groups.pods())


def test_name_servers_that_are_too_many_are_left_out_and_told(ns: Namespace) -> None:
    servers = [f"10.9.9.{number}" for number in range(1, 6)]
    config = {"nameservers": servers[:3], "searches": [f"{number}.test" for number in range(32)]}
    ns.apply(pod("asks", f"cat /etc/resolv.conf; {STILL}", dnsConfig=config))
    ns.running("asks")
    text = "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
    ns.told("asks", "DNSConfigForming", f"{text}10.43.0.10 10.9.9.1 10.9.9.2")
    assert ns.inside("asks", "grep -c nameserver /etc/resolv.conf") == "3\n"


def test_a_manifest_without_a_suffix_is_a_static_pod_with_the_apis_defaults(machine: Machine) -> None:
    directory = machine.root / "data/agent/manifests"
    made = pod("plain", STILL)
    del made["spec"]["restartPolicy"], made["spec"]["containers"][0]["env"]
    made["spec"]["containers"][0]["livenessProbe"] = {"exec": {"command": ["true"]}}
    (directory / ".hidden").write_text(json.dumps(made).replace("plain", "hidden"))
    bad = json.dumps(made).replace("plain", "bad").replace('"volumes": []', '"serviceAccountName": "default"')
    (directory / "bad").write_text(bad)
    (directory / "plain.manifest").write_text(json.dumps(made))
    name = f"plain-{machine.name}"
    machine.wait(lambda: name in machine.kubectl("get", "pods", "-o", "name"))
    machine.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=40s")
    probe = machine.kubectl("get", "pod", name, "-o", "jsonpath={.spec.containers[0].livenessProbe}")
    assert json.loads(probe)["periodSeconds"] == 10
    machine.wait(lambda: "static pods may not reference serviceaccounts" in machine.log.read_text())
    (directory / "plain.manifest").unlink()
    machine.kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=40s")
    names = machine.kubectl("get", "pods", "-o", "name")
    assert "hidden" not in names
    assert "bad" not in names


def test_a_memory_limit_does_not_fall_below_what_is_used(machine: Machine, ns: Namespace) -> None:
    volume = {"name": "memory", "emptyDir": {"medium": "Memory"}}
    script = f"dd if=/dev/zero of=/m/full bs=1M count=60; {STILL}"
    made = pod("full", script, volumes=[volume], mounts=[{"name": "memory", "mountPath": "/m"}])
    given = {"limits": {"memory": "100Mi"}, "requests": {"memory": "20Mi"}}
    made["spec"]["containers"][0]["resources"] = given
    ns.apply(made)
    ns.running("full")
    machine.wait(lambda: ns.inside("full", "stat -c %s /m/full") == f"{60 << 20}\n")
    less = {"spec": {"containers": [{"name": "c0", "resources": {"limits": {"memory": "40Mi"}}}]}}
    ns.kubectl("patch", "pod", "full", "--subresource=resize", "-p", json.dumps(less))

    def progress() -> str:
        path = '{.status.conditions[?(@.type=="PodResizeInProgress")].message}'
        return ns.kubectl("get", "pod", "full", "-o", f"jsonpath={path}")

    machine.wait(
        lambda: progress().startswith("cannot decrease memory limits: [attempting to set pod memory limit ")
    )
    assert 'attempting to set container "c0" memory limit (41943040) below current usage (' in progress()
    assert any(reason == "ResizeError" for reason, _ in ns.events("full"))
    [status] = ns.get("pod", "full")["status"]["containerStatuses"]
    assert status["resources"]["limits"]["memory"] == "100Mi"
    ns.inside("full", "rm /m/full")
    machine.wait(lambda: not progress(), 30)
    [status] = ns.get("pod", "full")["status"]["containerStatuses"]
    assert status["resources"]["limits"]["memory"] == "40Mi"
    assert status["restartCount"] == 0
