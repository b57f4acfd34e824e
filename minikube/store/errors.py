"""What a store can refuse. Each carries what the caller needs to go on."""

from __future__ import annotations

from minikube.store.base import Record


class StoreError(Exception):
    """Base of all of them; by itself: the write failed (disk full, database gone) and nothing happened."""


class KeyExists(StoreError):
    def __init__(self, current: Record) -> None:
        super().__init__(f"{current.key} exists at revision {current.revision}")
        self.current = current


class RevisionMismatch(StoreError):
    def __init__(self, key: str, current: Record | None) -> None:
        super().__init__(f"{key} is at revision {current.revision if current else None}")
        self.current = current


class Compacted(StoreError):
    """The history asked for is gone; `oldest` is the first revision that can still be asked for."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"revision {asked} is compacted, the oldest is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    def __init__(self, asked: int, current: int) -> None:
        super().__init__(f"revision {asked} is in the future, the current is {current}")
        self.current = current


class NewerSchema(StoreError):
    """The database was written by a newer version of the program."""
