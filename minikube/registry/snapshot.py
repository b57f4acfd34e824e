"""The objects of a bucket as they were at one revision, walked in the order of their paths while others go on.

Nothing is copied: what changes after that revision is noted as it happens, so a walk over 100,000 objects takes as
many steps as its reader likes, none of them long.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from minikube.registry.cache import Bucket
from minikube.registry.history import Change
from minikube.registry.keys import split_key
from minikube.registry.stored import StoredObject

CHUNK = 100


class Snapshot:
    """Of a revision that is not below the floor of the bucket's history. Use `with`; read `chunks`."""

    def __init__(self, bucket: Bucket, revision: int, namespace: str = "", start: str = "") -> None:
        self._bucket = bucket
        first, self._behind = (f"{namespace}/", f"{namespace}0") if namespace else ("", "")
        self._next = max(first, start)
        self._before: dict[str, StoredObject | None] = {}
        """The state at the revision of what has changed since, by path."""
        self._known: list[str] = []
        """The paths of those that existed, sorted."""
        for change in bucket.history.since(revision):
            self._note(change)
        bucket.listeners.append(self._note)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Note no more changes; there is nothing to read any more."""
        if self._note in self._bucket.listeners:
            self._bucket.listeners.remove(self._note)

    def chunks(self) -> Iterator[list[tuple[str, StoredObject]]]:
        """Some (path, object) at a time, never none; the reader may let others have their turn in between."""
        while True:
            present = self._bucket.paths(self._next, self._behind, CHUNK)
            full = len(present) == CHUNK
            upto = f"{present[-1]}\0" if full else self._behind
            found = [(path, state) for path in self._merged(present, upto) if (state := self._at(path)) is not None]
            self._next = upto
            if found:
                yield found
            if not full:
                return

    def left_from(self, path: str) -> int:
        """How many there are from this path on."""
        gone = sum(
            (state is not None) - (each in self._bucket.objects)
            for each, state in self._before.items()
            if each >= path and (not self._behind or each < self._behind)
        )
        return self._bucket.count(path, self._behind) + gone

    def _merged(self, present: list[str], upto: str) -> list[str]:
        low = bisect_left(self._known, self._next)
        known = self._known[low : bisect_left(self._known, upto) if upto else None]
        return sorted({*present, *known}) if known else present

    def _at(self, path: str) -> StoredObject | None:
        return self._before[path] if path in self._before else self._bucket.objects.get(path)

    def _note(self, change: Change) -> None:
        state = change.new or change.old
        assert state is not None
        path = split_key(state.key)[1]
        if path not in self._before:
            self._before[path] = change.old
            if change.old is not None:
                insort(self._known, path)
