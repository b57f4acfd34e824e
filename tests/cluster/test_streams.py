"""Streams to real containers, by the real kubectl over both protocols, and by the Python client."""

import hashlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.machines import KUBECTL, Machine, Network

pytestmark = pytest.mark.node

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {run: p}}
spec:
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "mkdir /www; echo '<a href=/x>page</a>' > /www/index.html; httpd -p 8080 -h /www; sleep 3600"]
    ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox:test
    stdin: true
    stdinOnce: true
    command: [sh, -c, "while read line; do echo got $line; done; echo over"]
"""
DATA = os.urandom(3_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest().encode()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network(f"s{os.getpid()}") as network:
        found = network.machine()
        found.serve()
        found.kubectl("apply", "-f", "-", stdin=POD)
        found.kubectl("wait", "--for=condition=Ready", "pod/p", "pod/reader", "--timeout=30s")
        yield found


@pytest.fixture(params=["true", "false"], ids=["websocket", "spdy"])
def protocol(request: pytest.FixtureRequest, machine: Machine) -> str:
    for name in ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"):
        machine.variables[name] = request.param
    found: str = request.param
    return found


def kubectl(machine: Machine, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*machine.enter, KUBECTL, *arguments], env=machine.environment, input=data, capture_output=True, timeout=60
    )


@pytest.mark.usefixtures("protocol")
def test_a_commands_output_and_exit_code_come_back(machine: Machine) -> None:
    done = kubectl(machine, "exec", "p", "-c", "c", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert done.stderr.startswith(b"err\n")


ONE_OUTPUT = """
from kubernetes import client, config
from kubernetes.stream import stream
config.load_kube_config()
ask = client.CoreV1Api().connect_get_namespaced_pod_exec
for out, err in ((True, False), (False, True)):
    got = stream(
        ask, "p", "default", container="c", command=["sh", "-c", "echo out; echo err >&2; exit 3"],
        stdout=out, stderr=err, stdin=False, tty=False, _preload_content=False,
    )
    got.run_forever(timeout=30)
    print(got.returncode, [got.read_stdout(), got.read_stderr()])
"""


def test_a_client_may_want_one_of_the_outputs_alone(machine: Machine) -> None:
    """As clients do that read a file by `cat`."""
    assert machine.run(sys.executable, "-c", ONE_OUTPUT).stdout == "3 ['out\\n', '']\n3 ['', 'err\\n']\n"


FORWARDED = """
from kubernetes import client, config
from kubernetes.stream import portforward
config.load_kube_config()
forwarded = portforward(client.CoreV1Api().connect_get_namespaced_pod_portforward, "p", "default", ports="8080")
socket = forwarded.socket(8080)
socket.setblocking(True)
socket.settimeout(30)
socket.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
answer = b""
while data := socket.recv(4096):
    answer += data
print(answer.decode().splitlines()[-1], forwarded.error(8080))
"""


def test_when_the_pod_closes_its_end_the_client_of_a_forwarded_port_hears_so(machine: Machine) -> None:
    assert machine.run(sys.executable, "-c", FORWARDED).stdout == "<a href=/x>page</a> None\n"


@pytest.mark.usefixtures("protocol")
def test_stdin_arrives_whole_and_ends(machine: Machine) -> None:
    assert DIGEST in kubectl(machine, "exec", "-i", "p", "-c", "c", "--", "sha256sum", data=DATA).stdout
    assert kubectl(machine, "exec", "-i", "p", "-c", "c", "--", "cat", data=DATA).stdout == DATA


@pytest.mark.usefixtures("protocol")
def test_a_command_that_leaves_its_stdin_unread_ends_all_the_same(machine: Machine) -> None:
    done = kubectl(machine, "exec", "-i", "p", "-c", "c", "--", "sh", "-c", "head -c 1; exit 4", data=DATA)
    assert (done.returncode, done.stdout) == (4, DATA[:1])


@pytest.mark.usefixtures("protocol")
def test_a_command_that_is_not_there_is_told(machine: Machine) -> None:
    done = kubectl(machine, "exec", "p", "-c", "c", "--", "nosuch")
    assert done.returncode != 0
    assert b'exec: "nosuch": executable file not found in $PATH' in done.stderr


@pytest.mark.usefixtures("protocol")
def test_files_are_copied_both_ways(machine: Machine) -> None:
    (machine.root / "there").write_bytes(DATA)
    machine.kubectl("cp", "-c", "c", str(machine.root / "there"), "p:/copied")
    machine.kubectl("cp", "-c", "c", "p:/copied", str(machine.root / "back"))
    assert (machine.root / "back").read_bytes() == DATA


@pytest.mark.usefixtures("protocol")
def test_many_connections_are_forwarded_at_once(machine: Machine) -> None:
    command = [*machine.enter, KUBECTL, "port-forward", "p", "18080:8080"]
    forwarding = subprocess.Popen(
        command, env=machine.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert forwarding.stdout is not None
        assert b"Forwarding from" in forwarding.stdout.readline()
        answers: list[str] = []

        def ask() -> None:
            answers.append(machine.run("busybox", "wget", "-qO-", "http://127.0.0.1:18080/").stdout)

        askers = [threading.Thread(target=ask) for _ in range(10)]
        for each in askers:
            each.start()
        for each in askers:
            each.join()
        assert answers == ["<a href=/x>page</a>\n"] * 10
    finally:
        forwarding.terminate()
        forwarding.wait(10)


def test_an_attached_client_talks_to_the_container_itself(machine: Machine) -> None:
    done = kubectl(machine, "attach", "-i", "reader", data=b"one\ntwo\n")
    assert b"got one\ngot two\nover\n" in done.stdout
    assert kubectl(machine, "logs", "reader", "--tail=2").stdout == b"got two\nover\n"


def test_pods_are_proxied_to_with_their_links_rewritten(machine: Machine) -> None:
    path = "/api/v1/namespaces/default/pods/p:8080/proxy"
    assert machine.kubectl("get", "--raw", f"{path}/") == f'<a href="{path}/x">page</a>\n'
    machine.kubectl("expose", "pod", "p", "--port=80", "--target-port=8080")
    service = "/api/v1/namespaces/default/services/p:80/proxy"
    machine.wait(lambda: "page" in machine.kubectl("get", "--raw", f"{service}/"))


def test_usage_is_shown_without_anything_installed(machine: Machine) -> None:
    assert machine.name in machine.kubectl("top", "nodes", "--no-headers")
    rows = [row.split() for row in machine.kubectl("top", "pods", "--containers", "--no-headers").splitlines()]
    assert ["p", "c"] in [row[:2] for row in rows]


def test_the_kubelets_port_answers_only_who_may(machine: Machine) -> None:
    asked = machine.run("curl", "-sk", f"https://{machine.address}:10250/pods", check=False)
    assert asked.stdout == "Unauthorized"
    token = machine.kubectl("create", "token", "default").strip()
    header = f"Authorization: Bearer {token}"
    asked = machine.run("curl", "-sk", "-H", header, f"https://{machine.address}:10250/pods", check=False)
    assert asked.stdout.startswith(
        "Forbidden (user=system:serviceaccount:default:default, verb=get, resource=nodes"
    )


DEAF = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    stdin: true
    stdinOnce: true
    command: [sh, -c, "while [ ! -e /end ]; do echo tick; sleep 0.2; done; echo last words"]
"""


DEAF_COMMAND = f"sleep {os.getpid()}98"


def sockets(machine: Machine) -> int:
    """Connections within the machine that stand, or would if somebody read."""
    out = machine.run("ss", "-Htn", "state", "established", "state", "close-wait", "state", "fin-wait-1").stdout
    return len(out.splitlines())


def stuff(pipe: int) -> None:
    """Until nothing on the whole way takes any more."""
    os.set_blocking(pipe, False)
    last = time.monotonic()
    while time.monotonic() < last + 2:
        try:
            os.write(pipe, bytes(1 << 16))
            last = time.monotonic()
        except BlockingIOError:
            select.select([], [pipe], [], 0.5)


def test_a_client_that_leaves_while_nobody_reads_its_stdin_is_let_go(machine: Machine, protocol: str) -> None:
    pod = f"deaf-{'ws' if protocol == 'true' else 'spdy'}"
    machine.kubectl("apply", "-f", "-", stdin=DEAF.replace("NAME", pod))
    machine.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=30s")
    before = sockets(machine)
    for command in (("attach", "-i", pod), ("exec", "-i", pod, "--", *DEAF_COMMAND.split())):
        with subprocess.Popen(
            [*machine.enter, KUBECTL, *command],
            env=machine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as client:
            assert client.stdin is not None
            stuff(client.stdin.fileno())
            client.terminate()
            client.wait(10)
        assert b"tick" in kubectl(machine, "logs", pod, "--tail=1").stdout  # others go on
    machine.wait(lambda: sockets(machine) <= before, 60)
    machine.wait(lambda: DEAF_COMMAND not in machine.run("ps", "axo", "args").stdout.splitlines())


SILENT = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [nc, -ll, -p, "9000", -e, sleep, "100000"]
    readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1, initialDelaySeconds: 1}
"""


def test_a_forwarded_port_whose_pod_reads_nothing_goes_with_its_client(machine: Machine, protocol: str) -> None:
    pod = f"silent-{'ws' if protocol == 'true' else 'spdy'}"
    machine.kubectl("apply", "-f", "-", stdin=SILENT.replace("NAME", pod))
    machine.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=30s")
    before = sockets(machine)
    with subprocess.Popen(
        [*machine.enter, KUBECTL, "port-forward", pod, "19000:9000"],
        env=machine.environment,
        stdout=subprocess.PIPE,
    ) as forwarding:
        assert forwarding.stdout is not None
        forwarding.stdout.readline()
        with subprocess.Popen(
            [*machine.enter, "busybox", "nc", "127.0.0.1", "19000"], stdin=subprocess.PIPE
        ) as client:
            assert client.stdin is not None
            stuff(client.stdin.fileno())
            forwarding.kill()
            client.kill()
    machine.wait(lambda: sockets(machine) <= before, 60)


def test_an_attached_container_that_left_its_stdin_unread_ends_the_client_with_it(
    machine: Machine, protocol: str
) -> None:
    pod = f"unread-{'ws' if protocol == 'true' else 'spdy'}"
    machine.kubectl("apply", "-f", "-", stdin=DEAF.replace("NAME", pod))
    machine.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=30s")
    ending = threading.Timer(3, lambda: machine.kubectl("exec", pod, "--", "touch", "/end"))
    ending.start()
    done = kubectl(machine, "attach", "-i", pod, data=bytes(20_000_000))
    ending.join()
    assert done.stdout.endswith(b"tick\nlast words\n")


WAITING = """
apiVersion: v1
kind: Pod
metadata: {name: unmounted}
spec:
  containers:
  - {name: c, image: "busybox:test", command: [sleep, "600"], volumeMounts: [{name: absent, mountPath: /absent}]}
  volumes: [{name: absent, configMap: {name: absent}}]
---
apiVersion: v1
kind: Pod
metadata: {name: imageless}
spec:
  containers: [{name: c, image: "absent:test", imagePullPolicy: Never}]
"""


@pytest.mark.parametrize(
    ("pod", "reason"), [("unmounted", "ContainerCreating"), ("imageless", "ErrImageNeverPull")]
)
def test_the_log_of_a_container_that_never_started_is_refused_with_what_it_waits_for(
    machine: Machine, pod: str, reason: str
) -> None:
    machine.kubectl("apply", "-f", "-", stdin=WAITING)
    why = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
    machine.wait(lambda: machine.kubectl("get", "pod", pod, "-o", why) == reason)
    told = f'Error from server (BadRequest): container "c" in pod "{pod}" is waiting to start: {reason}\n'
    assert machine.refused("logs", pod) == told


LINES = 2_000_000
COUNTING = f"""
apiVersion: v1
kind: Pod
metadata: {{name: counting}}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "i=0; while [ $i -lt {LINES} ]; do seq $((i+1)) $((i+=100000)); sleep 0.7; done"]
"""


def test_followers_get_every_line_of_a_log_that_is_rotated_meanwhile(machine: Machine) -> None:
    machine.kubectl("apply", "-f", "-", stdin=COUNTING)
    machine.wait(lambda: kubectl(machine, "logs", "counting").stdout)
    command = [*machine.enter, KUBECTL, "logs", "-f", "counting"]
    followers = [
        subprocess.Popen([*command, *more], env=machine.environment, stdout=subprocess.PIPE, text=True)
        for more in ((), ("--timestamps",), ("--tail=1",))
    ]
    shown: dict[int, list[str]] = {}
    reading = [
        threading.Thread(target=lambda n=n, each=each: shown.update({n: each.communicate()[0].split("\n")}))
        for n, each in enumerate(followers)
    ]
    for each in reading:
        each.start()
    for each in reading:
        each.join(120)
    numbers = [str(number) for number in range(1, LINES + 1)]
    assert shown[0][:-1] == numbers
    assert [line.split(" ")[1] for line in shown[1][:-1]] == numbers
    assert all(len(line.split(" ")[0]) == len("2026-01-01T00:00:00.000000000Z") for line in shown[1][:-1])
    assert shown[2][:-1] == numbers[-len(shown[2]) + 1 :]
    assert list(machine.root.glob("logs/default_counting_*/c/0.log.*")), "it was never rotated"
