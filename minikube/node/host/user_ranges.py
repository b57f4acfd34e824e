"""Ranges of the host's user and group ids, one for each pod with a user namespace of its own.

A pod that has one keeps it over restarts of ours: it is written beside its volumes before anything runs with it,
and goes with that directory. No two pods of a node share an id, none has one of the host's first 65536 users.
Rules: pkg/kubelet/userns.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import msgspec

from minikube.kit.files import write_private
from minikube.node.runtime.base import USER_IDS

FILE = "userns"


class Mapping(msgspec.Struct, frozen=True, rename="camel"):
    host_id: int
    container_id: int = 0
    length: int = USER_IDS


class Mappings(msgspec.Struct, frozen=True):
    """The file, as the kubelet writes it."""

    uid_mappings: tuple[Mapping] = msgspec.field(name="uidMappings")
    gid_mappings: tuple[Mapping] = msgspec.field(name="gidMappings")


class RangesExhausted(Exception):
    """Every range is taken."""


class UserRanges:
    """All calls block, and may come from several threads."""

    def __init__(self, pods_dir: Path, pods: int) -> None:
        """`pods`: how many there can be at a time."""
        self._directory, self._last = pods_dir, pods * USER_IDS
        self._lock = threading.Lock()

    def of(self, uid: str) -> int:
        """The first id of the pod's range, taken now if it has none. Raises OSError, RangesExhausted."""
        with self._lock:
            if found := _read(self._directory / uid / FILE):
                return found
            taken = self.taken()
            free = next((each for each in range(USER_IDS, self._last + 1, USER_IDS) if each not in taken), None)
            if free is None:
                raise RangesExhausted("could not find an empty slot to allocate a user namespace")
            _write(self._directory / uid / FILE, free)
            return free

    def taken(self) -> frozenset[int]:
        return frozenset(found for file in self._directory.glob(f"*/{FILE}") if (found := _read(file)))


def _read(file: Path) -> int:
    """0 for a file that is not there, or that a crash cut short: nothing has run with that."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(file.read_bytes(), type=Mappings).uid_mappings[0].host_id
    return 0


def _write(file: Path, first: int) -> None:
    """On disk, name and all, when it returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    one = Mapping(host_id=first)
    write_private(file, msgspec.json.encode(Mappings(uid_mappings=(one,), gid_mappings=(one,))))
