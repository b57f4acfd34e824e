"""What happened lately to the objects of one kind, oldest first: bounded by number and by bytes.

Invariant: every change with a revision above `floor` is here. Watchers are positions in it; one that is overtaken
by the floor has to list again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from minikube.registry.stored import StoredObject

LENGTH = 2_000
"""So many changes are kept at least, if they are small; at most twice as many."""
BYTES = 16 * 1024 * 1024


class Change(msgspec.Struct, frozen=True, gc=False):
    """`new` None: deleted, and `gone` is the last state under the deletion's revision."""

    revision: int
    old: StoredObject | None
    new: StoredObject | None
    gone: StoredObject | None = None

    @property
    def size(self) -> int:
        """Of the state that this change brought, in bytes."""
        state = self.new or self.gone
        return 0 if state is None else len(state.record.value)


class History:
    def __init__(self, revision: int) -> None:
        self.floor = revision
        self._changes: list[Change] = []
        self._revisions: list[int] = []
        self._bytes = 0

    def add(self, change: Change) -> None:
        self._changes.append(change)
        self._revisions.append(change.revision)
        self._bytes += change.size
        if len(self._changes) > 2 * LENGTH:
            self._drop(LENGTH)

    @property
    def heavy(self) -> bool:
        """It has more bytes than it should; `lighten` when watchers have had the time to follow."""
        return self._bytes > BYTES

    def lighten(self) -> int:
        """Forget the oldest until half of the bytes allowed are left. Answers how many that were."""
        before, count = self._bytes, 0
        left = before
        while count < len(self._changes) and left > BYTES // 2:
            left -= self._changes[count].size
            count += 1
        self._drop(count)
        return before - self._bytes

    def forget(self, revision: int) -> int:
        """Forget changes up to a revision. Answers how many bytes that were."""
        before = self._bytes
        self._drop(bisect_right(self._revisions, revision))
        return before - self._bytes

    def since(self, revision: int, limit: int | None = None) -> Sequence[Change]:
        """Changes after a revision, oldest first; the caller has checked the floor."""
        begin = bisect_right(self._revisions, revision)
        return self._changes[begin : None if limit is None else begin + limit]

    def _drop(self, count: int) -> None:
        if not count:
            return
        self.floor = self._revisions[count - 1]
        self._bytes -= sum(change.size for change in self._changes[:count])
        del self._changes[:count], self._revisions[:count]
