"""Services, host ports and names on one machine, with real packets: from pods, from the node, from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.machines import GATEWAY, Machine, Network, sh

pytestmark = pytest.mark.node

PODS = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web, pod: {name}}}}}
spec:
  hostname: {name}
  subdomain: headless
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: busybox:test
    command:
    - sh
    - -c
    - mkdir -p /w; hostname > /w/index.html; exec httpd -f -p 8080 -h /w
    ports: [{{name: http, containerPort: 8080}}]
    readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
"""
SERVICES = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec:
    type: NodePort
    selector: {app: web}
    ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]
- apiVersion: v1
  kind: Service
  metadata: {name: sticky}
  spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]}
- apiVersion: v1
  kind: Service
  metadata: {name: self}
  spec: {selector: {pod: one}, ports: [{port: 80, targetPort: 8080}]}
- apiVersion: v1
  kind: Service
  metadata: {name: headless}
  spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
- apiVersion: v1
  kind: Service
  metadata: {name: nobody}
  spec: {selector: {app: none}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: elsewhere}
  spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Network(f"s{os.getpid()}") as network:
        machine = network.machine()
        # As on a machine where br_netfilter is not loaded, which has no default route.
        machine.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
        machine.run("ip", "route", "del", "default")
        machine.serve("--node-ip", machine.address)
        for name in ("one", "two", "three"):
            machine.kubectl("apply", "-f", "-", stdin=PODS.format(name=name))
        machine.kubectl("apply", "-f", "-", stdin=SERVICES)
        machine.kubectl("wait", "--for=condition=Ready", "pod/one", "pod/two", "pod/three", "--timeout=30s")
        machine.wait(
            lambda: {fetch(machine, f"{ip(machine, 'web')}:80") for _ in range(9)} == {"one", "two", "three"}
        )
        yield machine


def fetch(machine: Machine, where: str) -> str:
    return machine.run("busybox", "wget", "-qO-", f"http://{where}/", check=False).stdout.strip()


def ip(machine: Machine, service: str) -> str:
    return machine.kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}")


def inside(machine: Machine, pod: str, *command: str) -> str:
    """In the network namespace of a pod of ours, with the host's files."""
    return sh("nsenter", f"--net={netns(machine, pod)}", *command, check=False).stdout.strip()


def netns(machine: Machine, pod: str) -> str:
    address = machine.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")
    return (
        machine.run(
            "sh",
            "-c",
            f'grep -o "\\"ips\\":.\\"{address}\\".,\\"netns\\":\\"[^\\"]*" $MINIKUBE_DATA_DIR/agent/network.json',
        )
        .stdout.split('"')[-1]
        .strip()
    )


def ask(machine: Machine, name: str, kind: str = "A", *flags: str) -> list[str]:
    """What the cluster's DNS answers, asked from a pod."""
    script = (
        "import sys; from dnslib import *; q = DNSRecord.question(sys.argv[1], sys.argv[2]);"
        "a = DNSRecord.parse(q.send('10.43.0.10', 53, tcp='tcp' in sys.argv, timeout=3));"
        "print(RCODE[a.header.rcode], *(f'{QTYPE[r.rtype]}={r.rdata}' for r in a.rr), sep='\\n')"
    )
    found = sh("nsenter", f"--net={netns(machine, 'one')}", sys.executable, "-c", script, name, kind, *flags)
    return found.stdout.split("\n")[:-1]


def test_a_service_reaches_every_pod_from_the_node_and_from_a_pod(machine: Machine) -> None:
    address = ip(machine, "web")
    assert {fetch(machine, address) for _ in range(20)} == {"one", "two", "three"}
    answers = {inside(machine, "two", "busybox", "wget", "-qO-", f"http://{address}/") for _ in range(20)}
    assert answers == {"one", "two", "three"}


def test_a_pod_reaches_itself_through_its_service(machine: Machine) -> None:
    assert inside(machine, "one", "busybox", "wget", "-qO-", f"http://{ip(machine, 'self')}/") == "one"


def test_a_node_port_answers_outside_and_on_the_node(machine: Machine) -> None:
    outside = sh(
        "ip", "netns", "exec", machine.network.namespace,
        "busybox", "wget", "-qO-", f"http://{machine.address}:30080/",
    )  # fmt: skip
    assert outside.stdout.strip() in {"one", "two", "three"}
    assert fetch(machine, f"{machine.address}:30080") in {"one", "two", "three"}
    assert inside(machine, "one", "busybox", "wget", "-qO-", f"http://{machine.address}:30080/")


def test_a_node_port_answers_on_the_nodes_loopback(machine: Machine) -> None:
    assert {fetch(machine, "127.0.0.1:30080") for _ in range(20)} == {"one", "two", "three"}
    assert fetch(machine, "localhost:30080") in {"one", "two", "three"}
    outside = sh(
        "ip", "netns", "exec", machine.network.namespace, "sh", "-c",
        f"ip route add 127.0.0.9/32 via {machine.address} 2>&1; busybox nc -w 2 127.0.0.9 30080 </dev/null",
        check=False,
    )  # fmt: skip
    assert outside.returncode != 0


BALANCED = """
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {pod: one}
  ports: [{name: a, port: 80, targetPort: 8080}, {name: b, port: 81, targetPort: 8080}]
"""


def test_a_load_balancer_is_told_whether_the_node_has_endpoints(machine: Machine) -> None:
    machine.kubectl("apply", "-f", "-", stdin=BALANCED)
    port = machine.kubectl("get", "service", "balanced", "-o", "jsonpath={.spec.healthCheckNodePort}")

    def health() -> tuple[str, str]:
        script = f"printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' | busybox nc -w 3 {machine.address} {port}"
        head, _, body = sh(
            "ip", "netns", "exec", machine.network.namespace, "sh", "-c", script, check=False
        ).stdout.partition("\n\n")
        return head.split("\n")[0], body

    machine.wait(lambda: health()[0] == "HTTP/1.1 200 OK")
    assert json.loads(health()[1]) == {
        "service": {"namespace": "default", "name": "balanced"},
        "localEndpoints": 1,
        "serviceProxyHealthy": True,
    }
    machine.kubectl("patch", "service", "balanced", "-p", '{"spec":{"selector":{"pod":"nobody-at-all"}}}')
    machine.wait(lambda: health()[0] == "HTTP/1.1 503 Service Unavailable")
    machine.kubectl("delete", "service", "balanced")
    machine.wait(lambda: health()[0] == "")


def test_client_affinity_keeps_the_pod_and_can_be_switched_off(machine: Machine) -> None:
    address = ip(machine, "sticky")
    assert len({fetch(machine, address) for _ in range(12)}) == 1
    machine.kubectl("patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"None"}}')
    machine.wait(lambda: len({fetch(machine, address) for _ in range(12)}) == 3)
    machine.kubectl("patch", "service", "sticky", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}')
    machine.wait(lambda: len({fetch(machine, address) for _ in range(12)}) == 1)


def test_a_service_without_endpoints_refuses_at_once(machine: Machine) -> None:
    done = machine.run("busybox", "nc", "-w", "5", ip(machine, "nobody"), "80", check=False)
    assert "refused" in done.stderr


def test_traffic_stays_local_where_the_policy_says_so(machine: Machine) -> None:
    machine.kubectl("patch", "service", "web", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
    machine.wait(lambda: fetch(machine, f"{machine.address}:30080") in {"one", "two", "three"})
    machine.kubectl("patch", "service", "web", "-p", '{"spec":{"internalTrafficPolicy":"Local"}}')
    machine.wait(lambda: fetch(machine, ip(machine, "web")) in {"one", "two", "three"})


HOST_PORT = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:test
    command: [sh, -c, "mkdir -p /w; echo {name} > /w/index.html; exec httpd -f -p 8080 -h /w"]
    ports: [{{containerPort: 8080, hostPort: 8088, hostIP: {host_ip}, protocol: {protocol}}}]
"""


def test_one_host_port_serves_several_addresses_and_protocols(machine: Machine) -> None:
    pods = {"loop": ("127.0.0.1", "TCP"), "addr": (machine.address, "TCP"), "udp": (machine.address, "UDP")}
    for name, (host_ip, protocol) in pods.items():
        manifest = HOST_PORT.format(name=name, host_ip=host_ip, protocol=protocol)
        machine.kubectl("apply", "-f", "-", stdin=manifest)
    machine.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in pods), "--timeout=30s")
    machine.wait(lambda: fetch(machine, "127.0.0.1:8088") == "loop")
    machine.wait(lambda: fetch(machine, f"{machine.address}:8088") == "addr")
    assert "8088 : goto host_udp" in machine.run("nft", "list", "table", "ip", "minikube").stdout
    machine.kubectl("delete", "pod", *pods)  # without grace: their objects go first, the node clears up after them
    machine.wait(lambda: fetch(machine, "127.0.0.1:8088") == "")
    machine.wait(lambda: "8088" not in machine.run("nft", "list", "table", "ip", "minikube").stdout)


def test_a_pod_cannot_reach_what_listens_on_the_nodes_loopback(machine: Machine) -> None:
    assert inside(machine, "one", "sh", "-c", "ip route add 127.1.0.0/16 via 10.42.0.1 2>&1; echo") is not None
    rules = machine.run("nft", "list", "chain", "ip", "minikube", "guard_loopback").stdout
    assert 'ip daddr 127.0.0.0/8 iifname != "lo" drop' in rules


def test_names_of_services_and_pods(machine: Machine) -> None:
    pods = {
        name: machine.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")
        for name in ("one", "two", "three")
    }
    assert ask(machine, "web.default.svc.cluster.local") == ["NOERROR", f"A={ip(machine, 'web')}"]
    assert ask(machine, "web.default.svc.cluster.local", "A", "tcp") == ["NOERROR", f"A={ip(machine, 'web')}"]
    assert ask(machine, "web.default.svc.cluster.local", "AAAA") == ["NOERROR"]
    assert set(ask(machine, "headless.default.svc.cluster.local")[1:]) == {f"A={each}" for each in pods.values()}
    assert ask(machine, "one.headless.default.svc.cluster.local") == ["NOERROR", f"A={pods['one']}"]
    assert ask(machine, "_http._tcp.web.default.svc.cluster.local", "SRV") == [
        "NOERROR",
        "SRV=0 100 80 web.default.svc.cluster.local.",
    ]
    assert "SRV=0 100 8080 two.headless.default.svc.cluster.local." in ask(
        machine, "_http._tcp.headless.default.svc.cluster.local", "SRV"
    )
    reverse = ".".join(reversed(ip(machine, "web").split("."))) + ".in-addr.arpa"
    assert ask(machine, reverse, "PTR") == ["NOERROR", "PTR=web.default.svc.cluster.local."]
    reverse = ".".join(reversed(pods["one"].split("."))) + ".in-addr.arpa"
    assert ask(machine, reverse, "PTR") == ["NOERROR", "PTR=one.headless.default.svc.cluster.local."]
    assert ask(machine, "absent.default.svc.cluster.local") == ["NXDOMAIN"]


def test_an_external_name_is_followed_to_its_address(machine: Machine) -> None:
    assert ask(machine, "elsewhere.default.svc.cluster.local", "CNAME") == [
        "NOERROR",
        "CNAME=web.default.svc.cluster.local.",
    ]
    assert ask(machine, "elsewhere.default.svc.cluster.local") == [
        "NOERROR",
        "CNAME=web.default.svc.cluster.local.",
        f"A={ip(machine, 'web')}",
    ]


def test_a_restarted_agent_finds_its_rules_and_sends_nothing(machine: Machine) -> None:
    def rules() -> str:
        return re.sub(r" expires \S+", "", machine.run("nft", "-a", "list", "table", "ip", "minikube").stdout)

    before = rules()
    address = ip(machine, "web")
    machine.kill()
    assert fetch(machine, address) in {"one", "two", "three"}
    machine.serve("--node-ip", machine.address)
    machine.wait(lambda: ask(machine, "web.default.svc.cluster.local") == ["NOERROR", f"A={address}"])
    assert fetch(machine, address) in {"one", "two", "three"}
    assert rules() == before, "handles show whether rules were made anew"


def test_a_foreign_firewall_is_named_with_the_fix(machine: Machine) -> None:
    foreign = (
        "add table inet theirs\nadd chain inet theirs fw { type filter hook forward priority 0; policy drop; }"
    )
    machine.run("nft", "-f", "-", stdin=foreign)
    try:
        machine.kill()
        machine.serve("--node-ip", machine.address)
        machine.wait(lambda: "FirewallDropsPods" in machine.kubectl("get", "events"))
        fix = "nft insert rule inet theirs fw ip saddr 10.42.0.0/16 accept"
        assert fix in machine.kubectl("get", "events", "-o", "wide")
    finally:
        machine.run("nft", "delete", "table", "inet", "theirs")


WHO = """
import socket
server = socket.create_server(("", 8090))
while True:
    client, (address, _) = server.accept()
    client.sendall(address.encode())
    client.close()
"""


def test_a_pod_reaches_the_outside_under_the_address_of_its_node(machine: Machine) -> None:
    enter = ("nsenter", f"--net=/run/netns/{machine.network.namespace}", sys.executable, "-c", WHO)
    with subprocess.Popen(enter) as outside:
        try:
            machine.wait(lambda: inside(machine, "one", "busybox", "nc", GATEWAY, "8090") == machine.address, 10)
        finally:
            outside.kill()


ECHO = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 8081))
while True:
    server.sendto(sys.argv[1].encode(), server.recvfrom(100)[1])
"""
ASK_UDP = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("", 5555))
client.settimeout(0.5)
client.sendto(b"hi", (sys.argv[1], 81))
print(client.recv(100).decode())
"""


def test_udp_follows_to_a_new_pod_although_the_client_keeps_its_port(machine: Machine) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "udp"},
        "spec": {"selector": {"pod": "two"}, "ports": [{"port": 81, "targetPort": 8081, "protocol": "UDP"}]},
    }  # fmt: skip
    machine.kubectl("apply", "-f", "-", stdin=json.dumps(service))
    address = ip(machine, "udp")

    def answer() -> str:
        return machine.run(sys.executable, "-c", ASK_UDP, address, check=False).stdout.strip()

    with ExitStack() as servers:
        for pod in ("two", "three"):
            enter = ("nsenter", f"--net={netns(machine, pod)}", sys.executable, "-c", ECHO, pod)
            server = servers.enter_context(subprocess.Popen(enter))
            servers.callback(server.kill)
        machine.wait(lambda: answer() == "two")
        machine.kubectl("patch", "service", "udp", "-p", '{"spec":{"selector":{"pod":"three"}}}')
        machine.wait(lambda: answer() == "three")
