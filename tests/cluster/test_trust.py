"""Three machines, one behind NAT, through everything that may happen to their credentials; in this order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from tests.machines import GATEWAY, KUBECTL, Machine, Network, sh

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

LIFETIME = "40s"
PRIVATE = "192.168.77"


class Trio:
    """A server, an agent and an agent behind NAT; each with a pod of its machine's name."""

    def __init__(self, network: Network) -> None:
        self.server = network.machine("a", certificate_lifetime=LIFETIME)
        self.agent, self.hidden = network.machine("b"), network.machine("c")
        behind_nat(network, self.hidden)
        self.server.serve()
        for agent in (self.agent, self.hidden):
            agent.join(self.server)
        self.joined_with = self.certificate(self.agent)
        for machine in self.machines:
            self.server.kubectl(
                "run", machine.name, "--image=busybox:test", f"--overrides={on(machine)}", "--", "sleep", "3600"
            )
        self.server.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        self.began = {machine.name: self.container(machine) for machine in self.machines}

    @property
    def machines(self) -> tuple[Machine, ...]:
        return self.server, self.agent, self.hidden

    def container(self, machine: Machine) -> str:
        """Id and restarts of its pod's container."""
        path = "jsonpath={.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
        return self.server.kubectl("get", "pod", machine.name, "-o", path)

    def undisturbed(self, *machines: Machine) -> None:
        """Nodes are Ready by leases renewed after now, and no pod was touched."""
        before = {machine.name: self.renewed(machine) for machine in machines}
        self.server.wait(lambda: all(self.renewed(machine) != before[machine.name] for machine in machines))
        for machine in machines:
            assert self.server.ready(machine.name)
            assert self.container(machine) == self.began[machine.name]

    def renewed(self, machine: Machine) -> str:
        """When its lease was."""
        path = "jsonpath={.spec.renewTime}"
        return self.server.kubectl("get", "lease", machine.name, "-n", "kube-node-lease", "-o", path)

    @staticmethod
    def certificate(machine: Machine) -> x509.Certificate:
        """The one that it shows to servers now."""
        path = machine.root / "data/agent/tls/client-kubelet.crt"
        return x509.load_pem_x509_certificate(path.read_bytes())


def on(machine: Machine) -> str:
    return f'{{"spec":{{"nodeName":"{machine.name}","terminationGracePeriodSeconds":0}}}}'


def behind_nat(network: Network, machine: Machine) -> None:
    """Its own subnet behind the switch: connections go out under the switch's address, none comes in."""
    port = f"port{network.machines.index(machine) + 2}"
    inside = ("ip", "-n", machine.namespace)
    network.ip("link", "set", port, "nomaster")
    network.ip("addr", "add", f"{PRIVATE}.1/24", "dev", port)
    sh(*inside, "addr", "flush", "dev", "eth0")
    sh(*inside, "addr", "add", f"{PRIVATE}.2/24", "dev", "eth0")
    sh(*inside, "route", "add", "default", "via", f"{PRIVATE}.1")
    enter = ("nsenter", f"--net=/run/netns/{network.namespace}")
    sh(*enter, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    rules = f"""
    table ip nat {{
        chain out {{
            type nat hook postrouting priority 100
            oifname "switch" ip saddr {PRIVATE}.0/24 masquerade
        }}
    }}
    table ip filter {{
        chain in {{
            type filter hook forward priority 0
            oifname "{port}" ct state new drop
        }}
    }}
    """
    sh(*enter, "nft", "-f", "-", stdin=rules)
    machine.address = f"{PRIVATE}.2"


def forward_overlay(network: Network, machine: Machine) -> None:
    """What the owner of the NAT is told to do: UDP 8472 goes to the machine behind it."""
    rules = f"""
    table ip nat {{
        chain in {{
            type nat hook prerouting priority -100
            ip daddr {GATEWAY} udp dport 8472 dnat to {machine.address}
        }}
    }}
    insert rule ip filter in udp dport 8472 accept
    """
    sh("nsenter", f"--net=/run/netns/{network.namespace}", "nft", "-f", "-", stdin=rules)


def connections(server: Machine, client: str) -> set[str]:
    """Ports of this address from which connections to the server's API are open."""
    port, address = f":{6443:04X}", "".join(f"{int(byte):02X}" for byte in reversed(client.split(".")))
    lines = [line.split() for line in server.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    tcp6 = [line.split() for line in server.run("cat", "/proc/net/tcp6").stdout.splitlines()[1:]]
    ends = [(local, remote) for _, local, remote, state, *_ in (*lines, *tcp6) if state == "01"]
    return {
        remote.rpartition(":")[2]
        for local, remote in ends
        if local.endswith(port) and remote.rpartition(":")[0].endswith(address)
    }


@pytest.fixture(scope="module")
def trio() -> Iterator[Trio]:
    with Network(f"t{os.getpid()}") as network:
        yield Trio(network)


def test_a_node_behind_nat_says_so_and_its_pods_are_served(trio: Trio) -> None:
    server, hidden = trio.server, trio.hidden
    path = 'jsonpath={.status.conditions[?(@.type=="PodNetworkReachable")].message}'
    server.wait(lambda: "--node-external-ip" in server.kubectl("get", "node", hidden.name, "-o", path))
    assert server.kubectl("get", "node", trio.agent.name, "-o", path) == ""
    assert f"behind NAT: servers see it at {GATEWAY}" in hidden.tail()
    inside = ("exec", hidden.name, "--")
    assert server.kubectl(*inside, "echo", "hello") == "hello\n"
    assert "10.43.0.1" in server.kubectl(*inside, "nslookup", "kubernetes.default.svc.cluster.local")
    server.kubectl(*inside, "nc", "-w", "2", "10.43.0.1", "443")


def test_with_a_forwarded_port_pods_on_both_sides_reach_each_other(trio: Trio) -> None:
    server, hidden = trio.server, trio.hidden
    address = ("-o", "jsonpath={.status.podIP}")
    ips = {machine: server.kubectl("get", "pod", machine.name, *address) for machine in trio.machines}
    assert "100% packet loss" in server.run("busybox", "ping", "-c1", "-W1", ips[hidden], check=False).stdout
    forward_overlay(hidden.network, hidden)
    assert hidden.stop() == 0
    hidden.variables["MINIKUBE_NODE_EXTERNAL_IP"] = GATEWAY
    hidden.start("agent")
    for machine in (server, trio.agent):
        ping = ("exec", machine.name, "--", "ping", "-c1", "-W1")
        server.wait(lambda ping=ping: server.kubectl(*ping, ips[hidden]))
    for machine in (server, trio.agent):
        ping = ("exec", hidden.name, "--", "ping", "-c1", "-W1", ips[machine])
        server.wait(lambda ping=ping: server.kubectl(*ping))
    path = "jsonpath={.status.conditions[*].type}"
    assert "PodNetworkReachable" not in server.kubectl("get", "node", hidden.name, "-o", path)
    trio.undisturbed(*trio.machines)


def test_a_restarted_server_finds_its_nodes_again(trio: Trio) -> None:
    assert trio.server.stop() == 0
    trio.server.serve()
    trio.undisturbed(*trio.machines)


def test_a_rotated_token_keeps_strangers_out_and_members_in(trio: Trio) -> None:
    old = trio.server.token
    new = trio.server.minikube("token", "rotate").strip()
    assert new == trio.server.token != old
    refused = stranger(trio, old)
    assert "does not accept the join token (Unauthorized)" in refused
    trio.undisturbed(*trio.machines)


def test_a_name_that_is_taken_stays_taken(trio: Trio) -> None:
    refused = stranger(trio, trio.server.token)
    assert f'the name "{trio.agent.name}" belongs to another machine' in refused


def test_a_server_of_another_ca_is_told_nothing(trio: Trio) -> None:
    token = trio.server.token
    forged = f"K10{'0' * 64}{token[token.index('::') :]}"
    assert "nothing secret was sent" in stranger(trio, forged)


def stranger(trio: Trio, token: str) -> str:
    """What the agent of a new machine that calls itself like an old one says before it gives up."""
    machine = trio.agent
    data = machine.root / "stranger"
    command = [sys.executable, "-m", "minikube", "agent", "--simulate"]
    command += ["--server", trio.server.url, "--data-dir", str(data), "--run-dir", str(data / "run")]
    environment = {**machine.environment, "MINIKUBE_TOKEN": token}
    done = subprocess.run([*machine.enter, *command], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    return done.stderr


def test_the_cas_change_under_running_pods(trio: Trio) -> None:
    server = trio.server
    server.minikube("certificate", "rotate-ca")
    for machine in (trio.server, trio.agent):
        server.wait(lambda machine=machine: "@" in trio.certificate(machine).issuer.rfc4514_string())
    root = ("get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}")
    server.wait(lambda: server.kubectl(*root).count("BEGIN") == 2)
    trio.undisturbed(*trio.machines)
    server.minikube("certificate", "rotate-ca", "--finish")
    server.wait(lambda: server.kubectl(*root).count("BEGIN") == 1)
    trio.undisturbed(*trio.machines)


def test_certificates_are_renewed_before_they_end(trio: Trio) -> None:
    ended = trio.joined_with.not_valid_after_utc
    trio.server.wait(lambda: datetime.now(UTC) > ended, 90)
    assert trio.certificate(trio.agent).not_valid_after_utc > ended
    trio.undisturbed(*trio.machines)
    trio.agent.minikube("certificate", "check")


def test_a_changed_address_is_followed(trio: Trio) -> None:
    agent, inside = trio.agent, ("ip", "-n", trio.agent.namespace)
    moved = agent.address.rpartition(".")[0] + ".77"
    sh(*inside, "addr", "flush", "dev", "eth0")
    sh(*inside, "addr", "add", f"{moved}/24", "dev", "eth0")
    sh(*inside, "route", "add", "default", "via", GATEWAY)
    address = ("get", "node", agent.name, "-o", 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
    trio.server.wait(lambda: trio.server.kubectl(*address) == moved, 60)
    agent.address = moved
    trio.undisturbed(agent)
    pod = trio.server.kubectl("get", "pod", agent.name, "-o", "jsonpath={.status.podIP}")
    trio.server.wait(lambda: trio.server.run("busybox", "ping", "-c1", "-W2", pod))


def test_a_revoked_node_is_out_at_once_and_its_pods_are_evicted(trio: Trio) -> None:
    server, gone, stays = trio.server, trio.hidden, trio.agent
    session = subprocess.Popen(
        [*server.enter, KUBECTL, "exec", gone.name, "--", "sh", "-c", "echo there; sleep 600"],
        env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert session.stdout is not None
    assert session.stdout.readline() == b"there\n"
    theirs, others = connections(server, GATEWAY), connections(server, stays.address)
    assert min(len(theirs), len(others)) > 4, "parked ones, and watches"
    server.minikube("node", "revoke", gone.name)
    server.wait(lambda: not theirs & connections(server, GATEWAY), 3)
    assert session.wait(timeout=5) != 0
    assert others & connections(server, stays.address)
    server.wait(lambda: gone.name not in server.kubectl("get", "pods", "-o", "name"))
    kubelet = Path(gone.root / "data/agent/tls")
    answer = gone.run(
        KUBECTL, f"--server={server.url}", f"--certificate-authority={kubelet}/server-ca.crt",
        f"--client-certificate={kubelet}/client-kubelet.crt", f"--client-key={kubelet}/client-kubelet.key",
        "--kubeconfig=/dev/null", "get", "node", gone.name, check=False,
    )  # fmt: skip
    assert "Unauthorized" in answer.stderr or "must be logged in" in answer.stderr
    server.wait(lambda: "was revoked" in gone.tail())
    trio.undisturbed(server, stays)


def test_a_revoked_node_is_let_in_again_with_one_command(trio: Trio) -> None:
    server, back = trio.server, trio.hidden
    server.minikube("node", "rejoin", back.name)
    assert back.stop() == 0
    back.variables["MINIKUBE_TOKEN"] = server.token
    before = trio.renewed(back)
    back.start("agent")
    server.wait(lambda: trio.renewed(back) != before, 60)
    server.kubectl("run", "again", "--image=busybox:test", f"--overrides={on(back)}", "--", "sleep", "3600")
    server.kubectl("wait", "--for=condition=Ready", "pod/again", "--timeout=30s")
    assert (
        "is a server"
        in server.run(sys.executable, "-m", "minikube", "node", "revoke", server.name, check=False).stderr
    )
