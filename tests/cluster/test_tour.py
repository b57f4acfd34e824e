"""What a newcomer does on the first day: README's tour with the real kubectl, real containers and real packets."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.images import web_archive
from tests.machines import KUBECTL, Machine, Network

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A server with three replicas of web:1 behind a Service, and a client pod."""
    with Network(f"t{os.getpid()}") as network:
        found = network.machine()
        for version in ("1", "2"):
            web_archive(found.root / f"data/agent/images/web{version}.tar", version)
        found.serve()
        found.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3")
        found.kubectl("expose", "deployment", "web", "--port=80")
        found.kubectl("run", "client", "--image=busybox:test", "--", "sleep", "3600")
        found.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        found.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=20s")
        yield found


def fetch(machine: Machine, url: str = "http://web") -> str:
    return machine.kubectl("exec", "client", "--", "wget", "-q", "-O-", url)


def test_nodes_show_ready_with_their_role_and_address(machine: Machine) -> None:
    line = machine.kubectl("get", "nodes", "-o", "wide", "--no-headers").split()
    assert line[:3] == [machine.name, "Ready", "control-plane"]
    assert machine.address in line


def test_a_pod_reaches_every_replica_by_the_service_name(machine: Machine) -> None:
    pods = machine.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}").split()
    answered: set[str] = set()
    machine.wait(lambda: answered.add(fetch(machine).split()[1]) or answered == set(pods))


def test_scale_update_and_undo(machine: Machine) -> None:
    machine.kubectl("scale", "deployment/web", "--replicas=2")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    machine.kubectl("set", "image", "deployment/web", "web=web:2")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    machine.wait(lambda: fetch(machine).startswith("2 "))
    machine.kubectl("rollout", "undo", "deployment/web")
    machine.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    machine.wait(lambda: fetch(machine).startswith("1 "))
    assert "CHANGE-CAUSE" in machine.kubectl("rollout", "history", "deployment/web")


def test_logs_follow_previous_tail_and_since(machine: Machine) -> None:
    script = "for i in 1 2 3; do echo line $i; done; sleep 1; echo late; sleep 600"
    machine.kubectl("run", "talker", "--image=busybox:test", "--", "sh", "-c", script)
    machine.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=20s")
    assert machine.kubectl("logs", "talker", "--tail=1") in ("line 3\n", "late\n")
    follow = subprocess.Popen(
        [*machine.enter, KUBECTL, "logs", "-f", "talker"],
        env=machine.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follow.stdout is not None
    assert [follow.stdout.readline() for _ in range(4)] == ["line 1\n", "line 2\n", "line 3\n", "late\n"]
    follow.kill()
    follow.wait()
    assert machine.kubectl("logs", "talker", "--since=1h", "--timestamps").splitlines()[0].endswith(" line 1")
    assert "not found" in machine.refused("logs", "talker", "--previous")
    machine.kubectl("delete", "pod", "talker", "--grace-period=0", "--force")


def test_exec_passes_stdin_exit_codes_and_a_terminal(machine: Machine) -> None:
    assert machine.kubectl("exec", "-i", "client", "--", "cat", stdin="over there") == "over there"
    done = machine.run(KUBECTL, "exec", "client", "--", "sh", "-c", "exit 7", check=False)
    assert done.returncode == 7
    terminal = f"{KUBECTL} exec -it client -- sh -c 'tty; echo size $(stty size)'"
    shown = machine.run("script", "-qec", terminal, "/dev/null").stdout
    assert "/dev/pts/0" in shown


def test_port_forward_reaches_the_pod(machine: Machine) -> None:
    forward = subprocess.Popen(
        [*machine.enter, KUBECTL, "port-forward", "service/web", "8080:80"],
        env=machine.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert forward.stdout is not None
    assert "Forwarding from 127.0.0.1:8080" in forward.stdout.readline()
    for _ in range(3):
        assert machine.run("busybox", "wget", "-q", "-O-", "http://127.0.0.1:8080").stdout.startswith("1 web-")
    forward.kill()
    forward.wait()


def test_describe_and_events_tell_the_story(machine: Machine) -> None:
    story = machine.kubectl("describe", "pod", "client")
    for word in ("Scheduled", "Pulled", "Created", "Started", "QoS Class:", "Node-Selectors:"):
        assert word in story
    assert "Scheduled" in machine.kubectl("get", "events")
    assert "replicas" in machine.kubectl("explain", "deployment.spec")


def test_status_says_that_all_is_well_and_what_is_not(machine: Machine) -> None:
    well = machine.minikube("status")
    assert "running as process" in well
    assert machine.name in well
    machine.kubectl("run", "lost", "--image=web:1", '--overrides={"spec":{"nodeSelector":{"no":"where"}}}')
    try:
        machine.wait(lambda: "pod default/lost: Unschedulable: 0/1" in machine.minikube("status", check=False))
    finally:
        machine.kubectl("delete", "pod", "lost", "--force")
    machine.wait(lambda: "What is wrong" not in machine.minikube("status"))


def test_a_wrong_manifest_is_refused_with_the_field_named(machine: Machine) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "w"},
        "spec": {"containers": [{"name": "c", "imag": "x"}]},
    }
    assert 'unknown field "spec.containers[0].imag"' in machine.refused("create", "-f", "-", stdin=json.dumps(pod))


def test_the_application_answers_while_the_server_is_killed_and_started(machine: Machine) -> None:
    ip = machine.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    ids = "jsonpath={.items[*].status.containerStatuses[*].containerID}"
    before = machine.kubectl("get", "pods", "-l", "app=web", "-o", ids)

    def answers() -> bool:
        return machine.run("busybox", "wget", "-q", "-O-", f"http://{ip}").stdout.startswith("1 web-")

    assert answers()
    machine.kill()
    for _ in range(5):
        assert answers()
    machine.serve()
    for _ in range(5):
        assert answers()
    assert machine.kubectl("get", "pods", "-l", "app=web", "-o", ids) == before
    machine.wait(lambda: fetch(machine).startswith("1 "))  # names come back a moment after the API


def test_delete_takes_everything_away(machine: Machine) -> None:
    began = time.monotonic()
    machine.kubectl("delete", "deployment,service", "web", "--timeout=60s")
    machine.wait(lambda: machine.kubectl("get", "pods", "-l", "app=web", "-o", "name") == "", 60)
    print(f"two replicas gone after {time.monotonic() - began:.1f} s")
