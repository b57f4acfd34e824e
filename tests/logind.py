"""A real systemd-logind for a machine of the tests, on a bus of its own, in a mount namespace that has its own
/run/systemd. Who answers as systemd there stops nothing: a shutdown goes as far as that, and can be called off.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from jeepney import DBusAddress, Message, MessageType, new_error, new_method_call, new_method_return, new_signal
from jeepney.io.blocking import DBusConnection, open_dbus_connection

LOGIND = Path("/lib/systemd/systemd-logind")
LOGIN = DBusAddress("/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager")
BUS = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
SYSTEMD = "org.freedesktop.systemd1"
MANAGER = DBusAddress("/org/freedesktop/systemd1", SYSTEMD, f"{SYSTEMD}.Manager")
JOB = "/org/freedesktop/systemd1/job/1"
CONFIGURATION = """<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>"""
NAMESPACE = "mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir -p {made} && exec {logind}"
MADE = " ".join(f"/run/systemd/{each}" for each in ("system", "seats", "users", "sessions", "inhibit"))


class Logind:
    """`address` is that of its bus, `mounts` its mount namespace."""

    def __init__(self, socket: Path, process: subprocess.Popen[bytes]) -> None:
        self.address, self.mounts = f"unix:path={socket}", f"/proc/{process.pid}/ns/mnt"
        self._systemd = open_dbus_connection(self.address)
        _call(self._systemd, BUS, "RequestName", "su", SYSTEMD, 0)
        self._client = open_dbus_connection(self.address)
        self.asked = threading.Event()
        """Somebody wants the machine to be powered off now: all inhibitors are gone, or their time is over."""
        threading.Thread(target=self._answer, daemon=True).start()

    def power_off(self) -> None:
        _call(self._client, LOGIN, "PowerOff", "b", False)

    def call_off(self) -> None:
        """The shutdown that was asked for fails."""
        self.asked.clear()
        removed = new_signal(MANAGER, "JobRemoved", "uoss", (1, JOB, "poweroff.target", "failed"))
        self._systemd.send(removed)

    def inhibitors(self) -> list[str]:
        return [each[1] for each in _call(self._client, LOGIN, "ListInhibitors", "")[0]]

    def close(self) -> None:
        self._client.close()
        self._systemd.close()

    def _answer(self) -> None:
        with contextlib.suppress(OSError, EOFError, ConnectionError):
            while True:
                asked = self._systemd.receive()
                if asked.header.message_type is MessageType.method_call:
                    self._systemd.send(self._reply(asked))

    def _reply(self, asked: Message) -> Message:
        fields = {field.name: value for field, value in asked.header.fields.items()}
        if fields["member"] == "Get":
            return new_method_return(asked, "v", (("s", "loaded"),))
        if fields["member"] == "StartUnit":
            self.asked.set()
            return new_method_return(asked, "o", (JOB,))
        if fields["member"] == "Subscribe":
            return new_method_return(asked)
        return new_error(asked, "org.freedesktop.DBus.Error.UnknownMethod")


def _call(bus: DBusConnection, to: DBusAddress, method: str, signature: str, *body: object) -> tuple[object, ...]:
    answer = bus.send_and_get_reply(new_method_call(to, method, signature, body), timeout=10)
    assert answer.header.message_type is MessageType.method_return, answer.body
    return answer.body  # type: ignore[no-any-return]


@contextlib.contextmanager
def logind(directory: Path) -> Iterator[Logind]:
    socket, configuration = directory / "bus", directory / "bus.conf"
    configuration.write_text(CONFIGURATION.format(socket=socket))
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile", "--print-address"],
        stdout=subprocess.PIPE,
    )
    assert bus.stdout is not None
    assert bus.stdout.readline()
    script = NAMESPACE.format(made=MADE, logind=LOGIND)
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={socket}"}
    started = subprocess.Popen(["unshare", "--mount", "--propagation=slave", "sh", "-c", script], env=environment)
    try:
        found = Logind(socket, started)
        yield found
        found.close()
    finally:
        for process in (started, bus):
            process.terminate()
            process.wait()
