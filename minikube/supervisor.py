"""Keeps a minikube process running on machines without systemd: `python -m minikube.supervisor server [flags]`.

Starts it again when it dies, and holds its listening sockets meanwhile, in systemd's protocol (see kit/keeper.py).
It imports next to nothing: it is there all the time.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence

RESTART_AFTER = 1.0
FIRST_DESCRIPTOR = 3
ABOVE = 64
MOST = 32


class Supervisor:
    """Runs `command` until told to stop; `kept` are the sockets it gave us, by name."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._kept: dict[str, int] = {}
        self._path = os.path.join(tempfile.mkdtemp(prefix="minikube-notify-"), "socket")
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._channel.bind(self._path)
        self._channel.setblocking(False)
        self._stopping = False
        self._pid = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code of the last process."""
        wake, wakened = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakened)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        code = 0
        try:
            while not self._stopping:
                began = time.monotonic()
                self._pid = self._spawn()
                code = self._wait(wake)
                self._pid = 0
                if not self._stopping:
                    print(f"minikube ended with code {code}, starting it again", file=sys.stderr, flush=True)
                    select.select([wake], [], [], max(0.0, RESTART_AFTER - (time.monotonic() - began)))
        finally:
            self._channel.close()
            os.unlink(self._path)
            os.rmdir(os.path.dirname(self._path))
        return code

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    def _wait(self, wake: int) -> int:
        if self._stopping:  # the signal came before there was a process to pass it to
            os.kill(self._pid, signal.SIGTERM)
        while True:
            readable, _, _ = select.select([self._channel.fileno(), wake], [], [])
            if self._channel.fileno() in readable:
                self._receive()
            if wake in readable:
                os.read(wake, 512)
                pid, status = os.waitpid(self._pid, os.WNOHANG)
                if pid:
                    self._receive()
                    return os.waitstatus_to_exitcode(status)

    def _receive(self) -> None:
        while True:
            try:
                text, ancillary, _, _ = self._channel.recvmsg(4096, socket.CMSG_SPACE(MOST * 4))
            except BlockingIOError:
                return
            words = dict(line.split("=", 1) for line in text.decode().splitlines() if "=" in line)
            received = array.array("i")
            for level, kind, data in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    received.frombytes(data[: len(data) - len(data) % received.itemsize])
            name = words.get("FDNAME", "")
            if "FDSTOREREMOVE" in words and name in self._kept:
                os.close(self._kept.pop(name))
            for descriptor in received:
                if name in self._kept:
                    os.close(self._kept[name])
                self._kept[name] = descriptor

    def _spawn(self) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:  # the child: nothing but system calls until exec
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            moved = [os.dup2(each, ABOVE + place, False) for place, each in enumerate(self._kept.values())]
            for place, each in enumerate(moved):
                os.dup2(each, FIRST_DESCRIPTOR + place, True)
            environment = {
                **os.environ,
                "NOTIFY_SOCKET": self._path,
                "LISTEN_PID": str(os.getpid()),
                "LISTEN_FDS": str(len(self._kept)),
                "LISTEN_FDNAMES": ":".join(self._kept),
            }
            os.execvpe(self._command[0], self._command, environment)
        except OSError as error:
            print(f"{self._command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(127)


LEAN = "-OO"
"""How Python is told to load no docstrings: 4 MB less. Nothing here depends on them, or on asserts."""

if __name__ == "__main__":
    sys.exit(Supervisor([sys.executable, LEAN, "-m", "minikube", *sys.argv[1:]]).run())
