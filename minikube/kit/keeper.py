"""Readiness and listening sockets that outlive this process, in systemd's words: sd_notify(3), sd_listen_fds(3).

Whoever started us (systemd, or `minikube.supervisor`, which speaks the same protocol) keeps a duplicate of every
listening socket in its descriptor store and hands it to the next process: while we restart, clients wait in the
kernel's backlog instead of being refused. Started by hand, none of it happens and sockets are ordinary ones.
"""

from __future__ import annotations

import array
import logging
import os
import socket
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Literal

log = logging.getLogger(__name__)

Transport = Literal["tcp", "udp"]
FIRST_DESCRIPTOR = 3
BACKLOG = 1024


class Keeper:
    """Make one from the process's environment, once: it takes its variables out, so that no child sees them."""

    def __init__(self, environment: MutableMapping[str, str], pid: int) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        self._kept = dict(_handed_over(environment, pid))
        self._asked: set[str] = set()

    def listeners(self, transport: Transport, host: str, port: int) -> list[socket.socket]:
        """Bound sockets (TCP ones listen already), for the caller to close; an empty host means all addresses.

        Asking again, also while others still have theirs, gives more of the same. Raises OSError.
        """
        hosts = [host] if host else ["0.0.0.0", "::"] if socket.has_dualstack_ipv6() else ["0.0.0.0"]
        return [self._listener(transport, each, port) for each in hosts]

    def ready(self) -> None:
        """The process does its work now."""
        self._notify("READY=1")

    def give_up_rest(self) -> None:
        """Let go of sockets that nobody has asked for, say after a change of ports."""
        for name in [name for name in self._kept if name not in self._asked]:
            self._kept.pop(name).close()
            self._notify(f"FDSTOREREMOVE=1\nFDNAME={name}")

    def _listener(self, transport: Transport, host: str, port: int) -> socket.socket:
        if not self._address or not port:
            return _bound(transport, host, port)
        name = f"{transport} {host} {port}".replace(":", "-")
        self._asked.add(name)
        if name not in self._kept:
            self._kept[name] = _bound(transport, host, port)
            self._notify(f"FDSTORE=1\nFDNAME={name}", [self._kept[name].fileno()])
        return self._kept[name].dup()

    def _notify(self, text: str, descriptors: Sequence[int] = ()) -> None:
        if not self._address:
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.connect(self._address.replace("@", "\0", 1))
                channel.sendmsg([text.encode()], rights)
            except OSError as error:
                log.warning("the service manager does not listen: %s", error)


def _handed_over(environment: MutableMapping[str, str], pid: int) -> Iterator[tuple[str, socket.socket]]:
    if environment.get("LISTEN_PID") != str(pid):
        return
    del environment["LISTEN_PID"]
    count, names = int(environment.pop("LISTEN_FDS", "0")), environment.pop("LISTEN_FDNAMES", "").split(":")
    for number, name in zip(range(count), names, strict=False):
        descriptor = FIRST_DESCRIPTOR + number
        os.set_inheritable(descriptor, False)
        yield name, socket.socket(fileno=descriptor)


def _bound(transport: Transport, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    made = socket.socket(family, kind)
    try:
        if transport == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        if transport == "tcp":
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        where = f"[{host}]" if ":" in host else host
        raise OSError(error.errno, f"cannot listen on {where}:{port} ({transport}): {error.strerror}") from error
    made.setblocking(False)
    return made
