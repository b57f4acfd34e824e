"""Pods with real containers on one machine, as a user sees them through kubectl."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.machines import Machine, Network

pytestmark = pytest.mark.node
IMAGE = "busybox:test"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network(f"p{os.getpid()}") as network:
        found = network.machine()
        found.serve()
        yield found


def container(script: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **more}


def create(machine: Machine, name: str, script: str = "sleep 600", *, own: Any = None, **spec: Any) -> None:
    """`own` is more of the one container, `spec` more of the pod."""
    given = {"terminationGracePeriodSeconds": 1, "containers": [container(script, **(own or {}))], **spec}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": given}
    machine.kubectl("apply", "-f", "-", stdin=json.dumps(pod))


def status(machine: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.kubectl("get", "pod", name, "-o", "json"))["status"]
    return found


def said(machine: Machine, name: str, script: str, *, own: Any = None, **spec: Any) -> str:
    """What a script prints that then fails: the tail of its log is its termination message."""
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError", **(own or {})}
    create(machine, name, f"{script}; exit 3", own=policy, restartPolicy="Never", **spec)
    machine.wait(lambda: status(machine, name)["phase"] == "Failed")
    text: str = status(machine, name)["containerStatuses"][0]["state"]["terminated"].get("message", "")
    return text


def test_users_groups_and_capabilities_are_as_asked(machine: Machine) -> None:
    context = {"runAsUser": 1001, "runAsGroup": 2002, "supplementalGroups": [3003], "fsGroup": 4004}
    own = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    script = "id; grep NoNewPrivs /proc/self/status; grep CapBnd /proc/self/status; touch /x"
    found = said(machine, "who", script, own={"securityContext": own}, securityContext=context)
    assert "uid=1001 gid=2002 groups=2002,3003,4004" in found
    assert "NoNewPrivs:\t1" in found
    assert "CapBnd:\t0000000000000000" in found
    assert "Read-only file system" in found


def test_a_root_image_does_not_run_as_non_root(machine: Machine) -> None:
    create(machine, "root", own={"securityContext": {"runAsNonRoot": True}})

    def refused() -> bool:
        waiting = status(machine, "root")["containerStatuses"][0]["state"].get("waiting", {})
        return waiting.get("reason") == "CreateContainerConfigError" and (
            "container has runAsNonRoot and image will run as root" in waiting["message"]
        )

    machine.wait(refused)


def test_safe_sysctls_are_set_and_others_refused(machine: Machine) -> None:
    safe = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    assert said(machine, "safe", "cat /proc/sys/kernel/shm_rmid_forced", securityContext=safe) == "1\n"
    create(machine, "unsafe", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1000"}]})
    machine.wait(lambda: status(machine, "unsafe").get("reason") == "SysctlForbidden")


def test_names_and_addresses_are_those_of_the_pod(machine: Machine) -> None:
    aliases = [{"ip": "192.0.2.7", "hostnames": ["one.test", "two.test"]}]
    spec = {"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": True, "hostAliases": aliases}
    found = said(machine, "names", "hostname; cat /etc/hosts /etc/resolv.conf", **spec)
    assert found.startswith("h.s.default.svc.cluster.local\n")
    assert "\th.s.default.svc.cluster.local\th\n" in found
    assert "192.0.2.7\tone.test\ttwo.test" in found
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in found


def test_an_environment_comes_from_everywhere(machine: Machine) -> None:
    machine.kubectl("create", "configmap", "cm", "--from-literal=k=from-map")
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
        {"name": "F", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "app.env", "key": "X"}}},
        {"name": "ALL", "value": "$(K)/$(F)/$$(K)"},
    ]
    init = container("echo \"X='from-file'\" > /v/app.env", "i", volumeMounts=[{"name": "v", "mountPath": "/v"}])
    volumes = [{"name": "v", "emptyDir": {}}]
    found = said(machine, "env", "env", own={"env": env}, initContainers=[init], volumes=volumes)
    assert f"IP={status(machine, 'env')['podIP']}\n" in found
    assert "ALL=from-map/from-file/$(K)\n" in found


def test_hooks_run_around_a_container(machine: Machine) -> None:
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", "echo begun > /v/begun"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo ended > /v/ended"]}},
    }
    mounts = [{"name": "v", "mountPath": "/v"}]
    kept = str(machine.root / "kept")
    volumes = [{"name": "v", "hostPath": {"path": kept, "type": "DirectoryOrCreate"}}]
    create(machine, "hooks", own={"lifecycle": hooks, "volumeMounts": mounts}, volumes=volumes)
    machine.kubectl("wait", "--for=condition=Ready", "pod/hooks", "--timeout=20s")
    machine.kubectl("delete", "pod", "hooks")
    assert machine.run("sh", "-c", f"cat {kept}/begun {kept}/ended").stdout == "begun\nended\n"


def test_probes_make_ready_and_restart(machine: Machine) -> None:
    serve = "mkdir /w; echo ok > /w/index.html; sleep 1; httpd -f -p 8080 -h /w"
    web = {"httpGet": {"path": "/index.html", "port": "web"}, "periodSeconds": 1}
    broken = {"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 2}
    ports = [{"name": "web", "containerPort": 8080}]
    create(machine, "web", serve, own={"ports": ports, "readinessProbe": web})
    create(machine, "broken", own={"livenessProbe": broken})
    machine.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=20s")
    machine.wait(lambda: status(machine, "broken")["containerStatuses"][0]["restartCount"] >= 1)
    events = machine.kubectl("get", "events", "--field-selector=involvedObject.name=broken")
    assert "Liveness probe failed: dial tcp" in events
    assert "Container c failed liveness probe, will be restarted" in events


def test_debug_joins_the_processes_of_its_target(machine: Machine) -> None:
    create(machine, "target", "exec sleep 600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/target", "--timeout=20s")
    arguments = ("--image", IMAGE, "--target=c", "-c", "look", "--", "sh", "-c", "ps > /dev/termination-log")
    machine.kubectl("debug", "target", *arguments)

    def seen() -> bool:
        found = status(machine, "target").get("ephemeralContainerStatuses", [{}])[0].get("state", {})
        return "sleep 600" in found.get("terminated", {}).get("message", "")

    machine.wait(seen)


def test_more_cpu_is_given_to_a_running_container(machine: Machine) -> None:
    create(machine, "grow", own={"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}})
    machine.kubectl("wait", "--for=condition=Ready", "pod/grow", "--timeout=20s")
    more = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "400m"}}}]}}
    machine.kubectl("patch", "pod", "grow", "--subresource=resize", "-p", json.dumps(more))
    machine.wait(lambda: status(machine, "grow")["containerStatuses"][0]["resources"]["limits"]["cpu"] == "400m")
    assert status(machine, "grow")["containerStatuses"][0]["restartCount"] == 0


def test_a_static_pod_runs_and_goes_with_its_manifest(machine: Machine) -> None:
    manifests = machine.root / "data/agent/manifests"
    manifests.mkdir(exist_ok=True)
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container("sleep 600")]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fixed"}, "spec": spec}
    (manifests / "fixed.json").write_text(json.dumps(pod))
    name = f"fixed-{machine.name}"
    machine.wait(lambda: status(machine, name)["phase"] == "Running")
    (manifests / "fixed.json").unlink()
    machine.wait(lambda: name not in machine.kubectl("get", "pods", "-o", "name"))


def test_nothing_is_left_when_all_pods_are_gone(machine: Machine) -> None:
    """Last: pods of every kind have been here, and containerd is killed once more under the rest."""
    os.kill(int((machine.root / "run/containerd/pid").read_text()), 9)
    machine.kubectl("delete", "pods", "--all", "--force", "--timeout=60s", timeout=90)
    machine.wait(lambda: not list((machine.root / "data/agent/pods").glob("*")), 60)
    machine.wait(lambda: not list((machine.root / "logs").glob("default_*")))
    machine.wait(lambda: "veth" not in machine.run("ip", "link").stdout)
