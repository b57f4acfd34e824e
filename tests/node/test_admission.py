"""What the node itself says to pods, and how confined they run: sysctls, profiles, groups, critical pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.images import busybox_archive
from tests.machines import Machine, Network
from tests.node.pods import STILL, Namespace, pod

pytestmark = pytest.mark.node
GROUP = "root:x:0:\nothers:x:50000:app\n"
PASSWD = "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n"
FILES = {"etc/group": GROUP, "etc/passwd": PASSWD}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network("adm") as network:
        found = network.machine(allowed_unsafe_sysctls="kernel.msg*", seccomp_default="true")
        found.serve()
        yield found


def refused(ns: Namespace, name: str) -> tuple[str, str]:
    """Reason and message of a pod that the node did not take."""
    ns.machine.wait(lambda: ns.phase(name) == "Failed")
    status = ns.get("pod", name)["status"]
    return status["reason"], status["message"]


def test_sysctls_are_those_that_the_administrator_allows(ns: Namespace) -> None:
    allowed = {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}
    ns.apply(pod("larger", "cat /proc/sys/kernel/msgmax", securityContext=allowed))
    assert ns.output("larger") == "65536\n"
    other = {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}
    ns.apply(pod("more", "true", securityContext=other))
    text = 'Pod was rejected: forbidden sysctl: "net.core.somaxconn" not allowlisted'
    assert refused(ns, "more") == ("SysctlForbidden", text)


def test_containers_have_the_runtimes_seccomp_profile_unless_they_ask_for_none(ns: Namespace) -> None:
    script = "grep Seccomp: /proc/self/status"
    ns.apply(pod("usual", script), pod("free", script, securityContext={"seccompProfile": {"type": "Unconfined"}}))
    assert ns.output("usual").split() == ["Seccomp:", "2"]
    assert ns.output("free").split() == ["Seccomp:", "0"]


def test_a_profile_of_apparmor_is_refused_where_there_is_no_apparmor(ns: Namespace) -> None:
    ns.apply(pod("confined", "true", securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}))
    text = "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"
    assert refused(ns, "confined") == ("AppArmor", text)


def test_groups_of_the_image_are_left_out_with_the_policy_strict(machine: Machine, ns: Namespace) -> None:
    archive = busybox_archive(machine.root / "grouped.tar", "grouped:test", files=FILES)
    machine.minikube("image", "load", str(archive))
    features = json.loads(machine.kubectl("get", "node", machine.name, "-o", "json"))["status"]["features"]
    assert features == {"supplementalGroupsPolicy": True}
    whole = {"runAsUser": 1000, "runAsGroup": 3000, "supplementalGroups": [4000]}
    for policy, groups in (("Merge", [3000, 4000, 50000]), ("Strict", [3000, 4000])):
        name = policy.lower()
        made = pod(name, f"id -G; {STILL}", securityContext={**whole, "supplementalGroupsPolicy": policy})
        made["spec"]["containers"][0]["image"] = "grouped:test"
        ns.apply(made)
        ns.running(name)
        machine.wait(lambda name=name: ns.kubectl("logs", name))  # type: ignore[misc]
        assert sorted(map(int, ns.kubectl("logs", name).split())) == groups
        [status] = ns.get("pod", name)["status"]["containerStatuses"]
        linux = status["user"]["linux"]
        assert (linux["uid"], linux["gid"], sorted(linux["supplementalGroups"])) == (1000, 3000, groups)


def asking(name: str, millicores: int, **more: Any) -> dict[str, Any]:
    made = pod(name, STILL, **more)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{millicores}m"}}
    return made


def test_a_critical_pod_takes_the_room_of_others(machine: Machine, ns: Namespace) -> None:
    cpu = machine.kubectl("get", "node", machine.name, "-o", "jsonpath={.status.allocatable.cpu}")
    whole = int(cpu) * 1000
    ns.apply(asking("large", whole - 300), asking("small", 200))
    ns.running("large", "small")
    critical = {"nodeName": machine.name, "priorityClassName": "system-cluster-critical"}
    ns.apply(asking("urgent", 500, **critical))
    ns.running("urgent")
    ns.machine.wait(lambda: ns.phase("large") == "Failed")
    status = ns.get("pod", "large")["status"]
    assert (status["reason"], status["message"]) == ("Preempting", "Preempted in order to admit critical pod")
    [target] = [each for each in status["conditions"] if each["type"] == "DisruptionTarget"]
    assert target["reason"] == "TerminationByKubelet"
    assert target["message"] == "Pod was preempted by Kubelet to accommodate a critical pod."
    ns.told("large", "Preempting", "Preempted in order to admit critical pod")
    assert ns.phase("small") == "Running"
