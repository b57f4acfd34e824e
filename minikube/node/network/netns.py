"""Work inside another network namespace, in a thread of its own so that no other thread is moved."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")
CLONE_NEWNET = 0x40000000


def within(netns: str, work: Callable[[], R]) -> R:
    """The result of `work` done in `netns` (a path). Raises OSError, and what `work` raises. Blocks."""
    results: list[R] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with open(netns) as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), netns)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run, name="netns")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def tcp_socket(netns: str = "", family: int = socket.AF_INET) -> socket.socket:
    """A non-blocking TCP socket that stays in that namespace; empty: in our own. Raises OSError."""

    def make() -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setblocking(False)
        return made

    return within(netns, make) if netns else make()
