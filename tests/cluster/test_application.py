"""An application of real programs from Debian packages, as a new user runs it: nginx, redis, a Python program.

Its manifests are in `application/`; each test does to it what people do on their first days.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.images import debian_archive
from tests.machines import KUBECTL, Machine, Network

pytestmark = pytest.mark.node

HERE = Path(__file__).parent / "application"
TOOLS = ("dash", "coreutils", "grep", "tar")
PACKAGES = {
    "nginx": ("nginx",),
    "redis": ("redis-server",),
    "python": ("python3-bottle", "python3-redis"),
}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network(f"app{os.getpid()}") as network:
        found = network.machine()
        files = {"srv/app.py": (HERE / "app.py").read_text()}
        for name, packages in PACKAGES.items():
            archive = found.root / f"data/agent/images/{name}.tar"
            debian_archive(archive, f"debian-{name}:test", (*packages, *TOOLS), files if name == "python" else {})
        found.serve()
        found.kubectl("apply", "-f", str(HERE / "manifests.yaml"))
        found.kubectl("rollout", "status", "statefulset/redis", "deployment/web", "--timeout=60s")
        yield found


def pod(machine: Machine) -> str:
    """The name of the web pod."""
    return machine.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}")


def page(machine: Machine) -> dict[str, Any]:
    """What the application tells through its service."""
    address = machine.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    told: dict[str, Any] = json.loads(machine.run("curl", "-sf", "-m", "5", f"http://{address}/").stdout)
    return told


def in_terminal(machine: Machine, *arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
    """kubectl in a terminal of its own: what was typed and printed comes back, and its exit code."""
    command = shlex.join([KUBECTL, *arguments])
    return machine.run("script", "-qec", command, "/dev/null", stdin=typed, check=False)


@contextlib.contextmanager
def following(machine: Machine, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until the block is left."""
    process = subprocess.Popen(
        [*machine.enter, *command],
        env=machine.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def test_the_page_tells_what_the_pod_was_given(machine: Machine) -> None:
    told = page(machine)
    found = json.loads(machine.kubectl("get", "pod", pod(machine), "-o", "json"))
    assert told["POD_NAME"] == found["metadata"]["name"]
    assert told["POD_IP"] == found["status"]["podIP"]
    assert told["NODE_NAME"] == machine.name
    assert told["MEMORY_LIMIT"] == "96"
    assert 'tier="front"' in told["labels"]


def test_every_container_has_its_own_security_context_and_limits(machine: Machine) -> None:
    def line(container: str, key: str) -> list[str]:
        status = machine.kubectl("exec", pod(machine), "-c", container, "--", "cat", "/proc/1/status")
        return next(row.split()[1:] for row in status.splitlines() if row.startswith(f"{key}:"))

    assert (line("nginx", "Uid")[0], line("nginx", "Gid")[0], line("nginx", "NoNewPrivs")) == ("33", "33", ["1"])
    assert line("nginx", "CapBnd") == ["0000000000000000"]
    assert (line("app", "Uid")[0], line("app", "Gid")[0], line("app", "Seccomp")) == ("1000", "3000", ["2"])
    assert line("console", "Uid")[0] == "0"
    limits = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
    asked = ("exec", pod(machine), "-c", "app", "--", "sh", "-c", limits)
    assert machine.kubectl(*asked).strip() == str(96 << 20)


def test_changes_of_config_map_and_secret_arrive_in_the_running_pod(machine: Machine) -> None:
    before = pod(machine)
    machine.kubectl("patch", "configmap", "app", "-p", '{"data":{"greeting":"good day"}}')
    machine.kubectl("patch", "secret", "app", "-p", '{"stringData":{"token":"second"}}')
    machine.kubectl("label", "pod", before, "tier=back", "--overwrite")
    began = time.monotonic()
    machine.wait(lambda: (page(machine)["greeting"], page(machine)["secret"]) == ("good day", "second"))
    machine.wait(lambda: 'tier="back"' in page(machine)["labels"])
    print(f"changes arrived after {time.monotonic() - began:.1f} s")
    assert pod(machine) == before


def test_what_redis_was_told_outlives_its_pod(machine: Machine) -> None:
    visits = page(machine)["visits"]
    before = machine.kubectl("get", "pod", "redis-0", "-o", "jsonpath={.metadata.uid}")
    machine.kubectl("delete", "pod", "redis-0")
    machine.wait(lambda: machine.kubectl("get", "pod", "redis-0", "-o", "jsonpath={.metadata.uid}") != before)
    machine.kubectl("wait", "--for=condition=Ready", "pod/redis-0", "--timeout=30s")
    machine.wait(lambda: page(machine)["visits"] == visits + 1)
    assert machine.kubectl("get", "pvc", "data-redis-0", "-o", "jsonpath={.spec.storageClassName}") == "local-path"


def test_a_shell_in_a_terminal_and_its_exit_code(machine: Machine) -> None:
    done = in_terminal(machine, "exec", "-it", pod(machine), "-c", "app", "--", "sh", typed="tty; id -u\nexit 7\n")
    assert "/dev/pts/0" in done.stdout
    assert "1000" in done.stdout
    assert done.returncode == 7


def test_files_go_in_and_come_back(machine: Machine) -> None:
    data = os.urandom(5_000_000)
    (machine.root / "sent").write_bytes(data)
    machine.kubectl("cp", "-c", "app", str(machine.root / "sent"), f"{pod(machine)}:/tmp/sent")
    machine.kubectl("cp", "-c", "app", f"{pod(machine)}:/tmp/sent", str(machine.root / "back"))
    assert (machine.root / "back").read_bytes() == data


def test_attaching_joins_the_running_interpreter(machine: Machine) -> None:
    """A terminal that is closed takes nothing with it: the next one finds what was typed before."""
    attach = shlex.join([KUBECTL, "attach", "-it", pod(machine), "-c", "console"])
    for typed, answer in (
        ("kept = 6 * 7; print('first', kept)", "first 42"),
        ("print('second', kept)", "second 42"),
    ):
        with following(machine, "script", "-qfc", attach, "/dev/null") as terminal:
            assert terminal.stdin is not None
            assert terminal.stdout is not None
            terminal.stdin.write(f"{typed}\n")
            terminal.stdin.flush()
            assert any(answer in line for line in terminal.stdout)


def test_a_debugging_container_sees_the_processes_of_its_target(machine: Machine) -> None:
    script = "ps; cat /proc/1/root/srv/app.py; sleep 600"
    name = pod(machine)
    machine.kubectl(
        *("debug", name, "--image=busybox:test", "--target=app", "-c", "look", "--profile=general"),
        *("--", "sh", "-c", script),
    )
    machine.wait(lambda: "The web application of" in machine.kubectl("logs", name, "-c", "look"))
    assert "python3 -u /srv/app.py" in machine.kubectl("logs", name, "-c", "look")
    [status] = json.loads(machine.kubectl("get", "pod", name, "-o", "json"))["status"]["ephemeralContainerStatuses"]
    assert "running" in status["state"]


def test_a_port_is_forwarded_while_logs_are_followed(machine: Machine) -> None:
    with (
        following(machine, KUBECTL, "logs", "-f", "--tail=0", "deployment/web", "-c", "nginx") as logs,
        following(machine, KUBECTL, "port-forward", "service/web", "18080:80") as forwarding,
    ):
        assert forwarding.stdout is not None
        assert logs.stdout is not None
        assert "127.0.0.1:18080 -> 8080" in forwarding.stdout.readline()
        time.sleep(1)  # the follower has to be there: what came before it is not shown
        answered = machine.run("curl", "-sf", "http://127.0.0.1:18080/?marker").stdout
        assert json.loads(answered)["POD_NAME"] == pod(machine)
        assert any("GET /?marker" in line for line in logs.stdout)


def test_top_shows_the_node_and_every_container(machine: Machine) -> None:
    def containers() -> set[str]:
        rows = machine.kubectl("top", "pods", "--containers", "--no-headers").splitlines()
        return {row.split()[1] for row in rows}

    machine.wait(lambda: containers() >= {"redis", "nginx", "app", "console"})
    assert machine.name in machine.kubectl("top", "nodes", "--no-headers")


def test_nothing_was_restarted(machine: Machine) -> None:
    for item in json.loads(machine.kubectl("get", "pods", "-o", "json"))["items"]:
        status = item["status"]
        every = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
        assert [one["name"] for one in every if one["restartCount"]] == []
