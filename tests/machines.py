"""Machines for tests: network namespaces on a bridge, each with data and run directories of its own.

A test (or a person: `python -m tests.machines --help`) starts servers and agents on them; nothing of it touches the
host's network, and `close` takes everything away again, also what a killed process left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from minikube.node.host.cgroups import Cgroups
from tests.images import busybox_archive

KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "kubectl"
HOME = Path("/tmp")
SUBNET = "172.31.0"
GATEWAY = f"{SUBNET}.1"
START_SECONDS = 90
"""A machine that is Ready after 3 s may need a minute where others keep all cores busy."""


class Failed(AssertionError):
    """A command that should have worked; the message has its output."""


def sh(*command: str, check: bool = True, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise Failed(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


class Network:
    """A switch: a namespace with a bridge, which is also everybody's way out (172.31.0.1)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace = f"mk-{name}"
        self.machines: list[Machine] = []
        sh("ip", "netns", "add", self.namespace)
        self.ip("link", "add", "switch", "type", "bridge")
        self.ip("addr", "add", f"{GATEWAY}/24", "dev", "switch")
        self.ip("link", "set", "switch", "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> None:
        sh("ip", "-n", self.namespace, *arguments)

    def machine(self, name: str = "a", **settings: str) -> Machine:
        """The next machine; `settings` are MINIKUBE_* variables in lower case."""
        found = Machine(self, name, len(self.machines) + 2, settings)
        self.machines.append(found)
        return found

    def close(self) -> None:
        for machine in self.machines:
            machine.close()
        sh("ip", "netns", "del", self.namespace, check=False)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Machine:
    """One machine: address, directories, and the minikube process that runs on it."""

    def __init__(self, network: Network, name: str, number: int, settings: Mapping[str, str]) -> None:
        self.network, self.name = network, f"{network.name}-{name}"
        self.namespace = f"mk-{self.name}"
        self.root = HOME / self.namespace
        self.address = f"{SUBNET}.{number}"
        self.cgroup = f"/{self.namespace}"
        self.log = self.root / "minikube.log"
        self.kubeconfig = self.root / "kubeconfig.yaml"
        self.process: subprocess.Popen[bytes] | None = None
        self.mounts = ""
        """Path of a mount namespace of its own; empty: it sees the host's mounts."""
        self.root.mkdir(exist_ok=True)
        self.variables = {
            "MINIKUBE_DATA_DIR": str(self.root / "data"),
            "MINIKUBE_RUN_DIR": str(self.root / "run"),
            "MINIKUBE_WRITE_KUBECONFIG": str(self.kubeconfig),
            "MINIKUBE_NODE_NAME": self.name,
            "MINIKUBE_CGROUP_ROOT": self.cgroup,
            "MINIKUBE_POD_LOGS_DIR": str(self.root / "logs"),
            "MINIKUBE_KUBELET_DIR": str(self.root / "kubelet"),
            "KUBECONFIG": str(self.kubeconfig),
            "HOME": str(self.root),
            **{f"MINIKUBE_{key.upper()}": value for key, value in settings.items()},
        }
        sh("ip", "netns", "add", self.namespace)
        link = f"port{number}"
        network.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        network.ip("link", "set", link, "master", "switch", "up")
        for arguments in (
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
            ("route", "add", "default", "via", GATEWAY),
        ):
            sh("ip", "-n", self.namespace, *arguments)
        (self.root / "data/agent/images").mkdir(parents=True, exist_ok=True)
        busybox_archive(self.root / "data/agent/images/busybox.tar")

    # ---- commands ------------------------------------------------------------------------------------

    @property
    def enter(self) -> tuple[str, ...]:
        """Puts a command into the machine's network (its cgroups are the host's)."""
        mounts = (f"--mount={self.mounts}",) if self.mounts else ()
        return ("nsenter", f"--net=/run/netns/{self.namespace}", *mounts)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}

    def run(
        self, *command: str, check: bool = True, stdin: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """On this machine, with its variables. Raises Failed unless `check` is False."""
        done = subprocess.run(
            [*self.enter, *command],
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise Failed(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-3000:]}\n{self.tail()}"
            )
        return done

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 60) -> str:
        """Its standard output. Raises Failed."""
        return self.run(KUBECTL, *arguments, stdin=stdin, timeout=timeout).stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """The standard error of a kubectl that must fail."""
        done = self.run(KUBECTL, *arguments, stdin=stdin, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def minikube(self, *arguments: str, check: bool = True, timeout: float = 60) -> str:
        return self.run(sys.executable, "-m", "minikube", *arguments, check=check, timeout=timeout).stdout

    def wait(self, holds: Callable[[], object], seconds: float = 30) -> None:
        """Until `holds()` is true; a kubectl that fails in it counts as not yet."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Failed):
                if holds():
                    return
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.1)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    # ---- minikube ------------------------------------------------------------------------------------

    def start(self, *arguments: str) -> None:
        """`minikube <arguments>` in the background, its log in `self.log`."""
        self.process = subprocess.Popen(
            [*self.enter, sys.executable, "-OO", "-m", "minikube", *arguments],
            env=self.environment,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def serve(self, *arguments: str) -> None:
        """A server whose node is Ready when this returns (API only with --disable-agent)."""
        self.start("server", *arguments)
        if "--disable-agent" in arguments:
            self.wait(
                lambda: self.run(KUBECTL, "get", "--raw", "/readyz", check=False).returncode == 0, START_SECONDS
            )
        else:
            self.wait(lambda: self.ready(self.name), START_SECONDS)

    def join(self, server: Machine, *arguments: str) -> None:
        """An agent of that server, whose node is Ready when this returns; with the server's kubeconfig."""
        self.variables |= {
            "MINIKUBE_SERVER": server.url,
            "MINIKUBE_TOKEN": server.token,
            "KUBECONFIG": str(server.kubeconfig),
        }
        self.start("agent", *arguments)
        server.wait(lambda: server.ready(self.name), START_SECONDS)

    @property
    def url(self) -> str:
        return f"https://{self.address}:6443"

    @property
    def token(self) -> str:
        """What joins other machines to this server."""
        return (self.root / "data/server/node-token").read_text().strip()

    def ready(self, node: str) -> bool:
        return " Ready " in self.kubectl("get", "node", node, "--no-headers")

    def kill(self) -> None:
        """kill -9"""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=20)

    def processes(self) -> Iterator[int]:
        """Of this machine: in its network namespace, or shims and containers of its containerd."""
        inode = os.stat(f"/run/netns/{self.namespace}").st_ino if self._namespace_there() else None
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                own = inode is not None and os.stat(entry / "ns/net").st_ino == inode
            except OSError:
                continue
            if own or f"{self.root}/".encode() in command:
                yield int(entry.name)

    def power_off(self) -> None:
        """All its processes die at once, /run and mounts are gone, the disk stays. `start` boots it again."""
        pids = set(self.processes())
        for shim in list(pids):
            pids |= set(_descendants(shim))
        sandboxes = _named_namespaces(pids)
        for pid in pids - {os.getpid()}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        self.wait(lambda: not set(self.processes()) - {os.getpid()}, 10)
        for namespace in sandboxes - {self.namespace}:
            sh("ip", "netns", "del", namespace, check=False)
        for mount in sorted(_mounts_below(str(self.root)), reverse=True):
            sh("umount", "-l", mount, check=False)
        for address in self.root.glob("run/containerd/state/*/*/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)
        shutil.rmtree(self.root / "run", ignore_errors=True)

    def close(self) -> None:
        """Take everything away that was on it: as a user would, then whatever that left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.minikube("uninstall", "--data", check=False)
        self.power_off()
        self.wait(lambda: Cgroups(self.cgroup).remove(self.cgroup), 10)
        shutil.rmtree(self.root, ignore_errors=True)
        sh("ip", "netns", "del", self.namespace, check=False)

    def _namespace_there(self) -> bool:
        return os.path.exists(f"/run/netns/{self.namespace}")


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _named_namespaces(pids: Iterable[int]) -> set[str]:
    """Names under /run/netns of the network namespaces that these processes are in."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            inodes.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
    return {entry.name for entry in Path("/run/netns").iterdir() if entry.stat().st_ino in inodes}


def _mounts_below(root: str) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [mount for line in lines if (mount := line.split()[1]).startswith(root + "/")]


def main(arguments: Sequence[str] | None = None) -> None:
    """One machine by hand: a server starts on it, then your command (default: a shell) runs there."""
    parser = argparse.ArgumentParser(prog="python -m tests.machines", description=main.__doc__)
    parser.add_argument("name", help="a short name that nobody else on this host uses")
    parser.add_argument("--server", default="", help="flags for `minikube server`, in one string")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run on it (default: bash)")
    asked = parser.parse_args(arguments)
    with Network(asked.name) as network:
        machine = network.machine()
        began = time.monotonic()
        machine.serve(*asked.server.split())
        print(f"node Ready after {time.monotonic() - began:.2f} s; log: {machine.log}", flush=True)
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run([*machine.enter, *(asked.command or ["bash"])], env=machine.environment)


if __name__ == "__main__":
    main()
