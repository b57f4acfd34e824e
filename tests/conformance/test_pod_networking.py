"""network/pod-networking, network/hostport: pods reach each other on every node, and node ports that they ask for."""

from __future__ import annotations

import os

import pytest

from tests.conformance.rows import row
from tests.conformance.space import AGNHOST, Obj, Space, agnhost, pod
from tests.conformance.traffic import client, dial, outside, service, udp

pytestmark = pytest.mark.conformance

GRANULAR = "Networking Granular Checks: Pods should function for "


def everywhere(space: Space) -> dict[str, str]:
    """A server on every node: name by address."""
    found = {}
    for number, node in enumerate(space.site.nodes):
        name = f"netserver-{number}"
        found[space.run(agnhost(name, nodeName=node))["status"]["podIP"]] = name
    return found


@row(
    "Networking Granular Checks: Pods should function for intra-pod communication: http",
    "Networking Granular Checks: Pods should function for intra-pod communication: udp",
)
def test_pods_reach_pods_on_every_node(space: Space):
    targets = everywhere(space)
    assert len(targets) == 2
    for number, node in enumerate(space.site.nodes):
        caller = client(space, f"client-{number}", nodeName=node)
        for address, name in targets.items():
            assert dial(space, caller, address, 8080) == [name]
            assert dial(space, caller, address, 8081, protocol="udp") == [name]
        mine = space.get("v1/Pod", caller)["status"]["podIP"]
        for address in targets:
            (seen,) = dial(space, caller, address, 8080, "clientip")
            assert seen.startswith(f"{mine}:")


ASK_UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.sendto(b"hostname", (sys.argv[1], int(sys.argv[2])))
print(s.recv(100).decode())
"""


@row(
    "Networking Granular Checks: Pods should function for node-pod communication: http",
    "Networking Granular Checks: Pods should function for node-pod communication: udp",
)
def test_nodes_reach_pods_on_every_node(space: Space):
    targets = everywhere(space)
    for number, node in enumerate(space.site.nodes):
        on_host(space, f"host-{number}", node)
        for address, name in targets.items():
            assert ask(space, f"host-{number}", f"http://{address}:8080/hostname") == name
            said = space.exec(f"host-{number}", "python3", "-c", ASK_UDP, address, "8081")
            assert said.strip() == name


def on_host(space: Space, name: str, node: str) -> None:
    """A pod in the node's own network, that serves nothing."""
    space.run(pod(name, image=AGNHOST, hostNetwork=True, nodeName=node))


ASK_HTTP = """
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
source = (sys.argv[2], 0) if len(sys.argv) > 2 else None
c = http.client.HTTPConnection(url.hostname, url.port, timeout=3, source_address=source)
c.request("GET", url.path)
print(c.getresponse().read().decode())
"""


def ask(space: Space, pod: str, url: str, *source: str) -> str:
    return space.exec(pod, "python3", "-c", ASK_HTTP, url, *source).strip()


def with_host_port(name: str, node: str, port: Obj) -> Obj:
    made = agnhost(name, nodeSelector={"kubernetes.io/hostname": node}, terminationGracePeriodSeconds=0)
    made["spec"]["containers"][0]["ports"] = [port]
    return made


@row(
    "HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol"
)
def test_one_host_port_for_several_addresses_and_protocols(space: Space):
    node, address = list(space.site.nodes.items())[1]
    port = 20000 + os.getpid() % 10000
    tcp = {"hostPort": port, "containerPort": 8080, "protocol": "TCP"}
    space.run(with_host_port("pod1", node, {**tcp, "hostIP": "127.0.0.1"}))
    space.run(with_host_port("pod2", node, {**tcp, "hostIP": address}))
    space.run(
        with_host_port(
            "pod3", node, {"hostPort": port, "containerPort": 8081, "protocol": "UDP", "hostIP": address}
        )
    )
    on_host(space, "host", node)
    space.wait(lambda: ask(space, "host", f"http://127.0.0.1:{port}/hostname", address) == "pod1")
    space.wait(lambda: ask(space, "host", f"http://127.0.0.1:{port}/hostname") == "pod1")
    space.wait(lambda: ask(space, "host", f"http://{address}:{port}/hostname") == "pod2")
    assert space.exec("host", "python3", "-c", ASK_UDP, address, str(port)).strip() == "pod3"
    assert outside(address, port) == "pod2"
    made = with_host_port("pod4", node, {**tcp, "hostIP": address})
    made["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    space.create(made)
    told = space.wait(lambda: [e for e in space.events("pod4") if e["reason"] == "FailedScheduling"])
    assert "didn't have free ports for the requested pod ports" in told[0]["message"]


CYCLE = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 12345))
s.settimeout(0.2)
while True:
    s.sendto(b"hostname", (sys.argv[1], int(sys.argv[2])))
    try:
        print(s.recv(100).decode(), flush=True)
    except OSError:
        print("none", flush=True)
    time.sleep(0.2)
"""


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "internal Local"])
def test_a_udp_client_with_one_port_finds_the_next_pod(space: Space, kind: str):
    """Its flow would lead to the dead pod for ever, unless it is forgotten."""
    (first, address), (second, _) = space.site.nodes.items()
    local = {"internalTrafficPolicy": "Local"} if kind == "internal Local" else {}
    made = space.create(
        service("web", {"app": "web"}, udp(), type="NodePort" if kind == "NodePort" else "ClusterIP", **local)
    )
    host, port = (
        (address, made["spec"]["ports"][0]["nodePort"]) if kind == "NodePort" else (made["spec"]["clusterIP"], 80)
    )
    space.run(pod("client", "python3", "-c", CYCLE, host, str(port), image=AGNHOST, nodeName=first))
    node = first if local else second

    def last() -> str:
        return space.logs("client", "--tail=1").strip()

    space.wait(lambda: last() == "none")
    space.run(agnhost("server1", labels={"app": "web"}, nodeName=node))
    space.wait(lambda: last() == "server1")
    space.run(agnhost("server2", labels={"app": "web"}, nodeName=node))
    space.delete("v1/Pod", "server1")
    space.wait(lambda: last() == "server2")


def test_a_udp_client_of_a_host_port_finds_the_next_pod(space: Space):
    (first, _), (second, address) = space.site.nodes.items()
    number = 30000 + os.getpid() % 2000 - 2000
    port = {"hostPort": number, "containerPort": 8081, "protocol": "UDP"}
    space.run(pod("client", "python3", "-c", CYCLE, address, str(number), image=AGNHOST, nodeName=first))

    def last() -> str:
        return space.logs("client", "--tail=1").strip()

    space.wait(lambda: last() == "none")
    for name in ("server1", "server2"):
        space.run(with_host_port(name, second, port))
        space.wait(lambda name=name: last() == name)
        space.delete("v1/Pod", name)
        space.wait(lambda name=name: space.gone("v1/Pod", name))


def test_a_pod_without_a_network_of_its_own_sees_the_nodes(space: Space):
    node, address = list(space.site.nodes.items())[1]
    found = space.run(pod("pod", hostNetwork=True, nodeName=node))
    assert found["status"]["podIP"] == address
    assert address in space.exec("pod", "ip", "addr", "show", "eth0")
