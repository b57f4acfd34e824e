"""The supervisor and the keeper over real processes: who connects while nobody runs is answered by the next one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHILD = """
import os, sys
from minikube.kit.keeper import Keeper
keeper = Keeper(os.environ, os.getpid())
assert "NOTIFY_SOCKET" not in os.environ
[listener] = keeper.listeners("tcp", "127.0.0.1", int(sys.argv[1]))
keeper.ready()
listener.setblocking(True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"%d\\n" % os.getpid())
    connection.close()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def supervisor(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    keep = (
        "import sys; from minikube.supervisor import Supervisor;"
        f"sys.exit(Supervisor([sys.executable, {str(script)!r}, '{port}']).run())"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, "-c", keep], env=environment) as process:
        yield process
        process.terminate()


def ask(port: int) -> int:
    """The pid of who answers; waits until somebody does."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                return int(connection.makefile().readline())
        except ConnectionRefusedError:
            continue


def test_a_killed_process_is_replaced_and_nobody_is_refused(supervisor: subprocess.Popen[bytes], port: int) -> None:
    first = ask(port)
    os.kill(first, signal.SIGKILL)
    while os.path.exists(f"/proc/{first}"):
        pass
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        second = int(connection.makefile().readline())
    assert second != first


def test_a_stop_is_passed_on(supervisor: subprocess.Popen[bytes], port: int) -> None:
    child = ask(port)
    supervisor.terminate()
    assert supervisor.wait(timeout=10) == 256 - signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
