"""The cluster that all tests share: a server and an agent in network namespaces, kept by a process of its own.

The keeper starts the cluster, then waits until nobody uses it: every test process holds a shared lock on `users`,
so that it is taken away even when they are killed. `python -m tests.conformance.site DIRECTORY` is the keeper.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from pyroute2 import netns

from tests.images import debian_archive
from tests.machines import GATEWAY, START_SECONDS, Machine, Network

IMAGE = Path(__file__).parent / "image"


class Site(msgspec.Struct, frozen=True):
    """Where the cluster is."""

    namespace: str
    """Network namespace of the switch: outside, but one hop from the nodes."""
    kubeconfig: str
    server: str
    nodes: dict[str, str]
    """Address by node name; the server's comes first."""
    logs: dict[str, str]
    """File with minikube's log by node name."""
    outside: str = GATEWAY
    """The address of this namespace as pods and nodes see it."""


@contextmanager
def joined(home: Path) -> Iterator[Site]:
    """The cluster of that directory, started by whoever comes first; this thread is on its switch meanwhile."""
    with (home / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with (home / "start").open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            if not (home / "site.json").exists():
                _start(home)
        site = msgspec.json.decode((home / "site.json").read_bytes(), type=Site)
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        netns.setns(site.namespace)
        try:
            yield site
        finally:
            netns.setns(before)
            os.close(before)


@contextmanager
def turn(home: Path, *, alone: bool) -> Iterator[None]:
    """Beside others, or alone. Whoever wants to be alone is not overtaken by those that come later."""
    with (home / "gate").open("w") as gate, (home / "turn").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def wait_closed(home: Path, seconds: float = 60) -> None:
    """Until the keeper has taken everything away."""
    deadline = time.monotonic() + seconds
    while (home / "keeper.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def _start(home: Path) -> None:
    log = home / "keeper.log"
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.site", str(home)],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 2 * START_SECONDS
    while not (home / "site.json").exists():
        assert keeper.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def keep(home: Path) -> None:
    (home / "keeper.pid").write_text(str(os.getpid()))
    try:
        with Network(f"k{os.getpid()}") as network:
            server, agent = network.machine("a"), network.machine("b")
            for machine in (server, agent):
                agnhost_archive(machine.root / "data/agent/images/agnhost.tar")
            server.serve("--node-ip", server.address)
            agent.join(server, "--node-ip", agent.address)
            _write(home, network, server, agent)
            with (home / "users").open("w") as users:
                fcntl.flock(users, fcntl.LOCK_EX)
    finally:
        (home / "keeper.pid").unlink()


def agnhost_archive(path: Path) -> Path:
    """`agnhost:test`: python3, a shell, dig and getent, with the programs of `image` in its root."""
    packages = ("python3", "dash", "coreutils", "hostname", "libc-bin", "bind9-dnsutils")
    return debian_archive(
        path, "agnhost:test", packages, {each.name: each.read_text() for each in IMAGE.glob("*.py")}
    )


def _write(home: Path, network: Network, server: Machine, agent: Machine) -> None:
    """The kubeconfig names the server as others reach it; site.json comes last, and whole."""
    both = (server, agent)
    kubeconfig = home / "kubeconfig.yaml"
    kubeconfig.write_text(server.kubeconfig.read_text().replace("https://127.0.0.1:6443", server.url))
    site = Site(
        namespace=network.namespace,
        kubeconfig=str(kubeconfig),
        server=server.url,
        nodes={each.name: each.address for each in both},
        logs={each.name: str(each.log) for each in both},
    )
    (home / "site.new").write_bytes(msgspec.json.encode(site))
    (home / "site.new").rename(home / "site.json")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
