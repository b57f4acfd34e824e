"""Encryption of a running store: switched on, to a new key, and off; whatever is stored follows in the background.

The file of keys says what is wanted and whether everything stored is so yet. It is written before anything is
stored with a new key, and forgets an old key only after nothing is stored with it. So a server that is killed in
between goes on where it was when it starts again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from minikube.kit.files import write_private
from minikube.store.base import Record, Store
from minikube.store.encrypted import EncryptedStore
from minikube.store.envelope import Envelopes, KeyEncryptionKey
from minikube.store.errors import RevisionMismatch, StoreError

log = logging.getLogger(__name__)

AT_ONCE = 64
RETRY_SECONDS = 10.0


class Keys(msgspec.Struct, frozen=True):
    """The file. `active` None: values are stored as they are. `settled`: all are, and no other key is needed."""

    keys: tuple[KeyEncryptionKey, ...] = ()
    active: str | None = None
    settled: bool = True


class Status(msgspec.Struct, frozen=True, rename="camel"):
    enabled: bool
    key: str = ""
    keys: tuple[str, ...] = ()
    stage: str = "settled"
    """settled, or re-encrypting."""
    done: int = 0
    total: int = 0
    """Values stored as they should be, of all."""


class EncryptionError(Exception):
    """This cannot be done now; the message says why."""


class Encryption:
    """`store` is what everybody else uses; `run` in a task."""

    def __init__(self, inner: Store, path: Path, prefixes: tuple[str, ...]) -> None:
        self._path = path
        self._keys = _read(path)
        self._known = {key.id: key for key in self._keys.keys}
        self.store = EncryptedStore(inner, self._envelopes(), prefixes)
        self.settled = asyncio.Event()
        """Everything is stored as it should be."""
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. A datastore that fails is tried again."""
        while True:
            while not self._keys.settled:
                try:
                    await self._settle()
                except StoreError as error:
                    log.warning("re-encryption is interrupted: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
            self.settled.set()
            self._wanted.clear()
            await self._wanted.wait()

    async def status(self) -> Status:
        records = await self._records()
        current = sum(self.store.envelopes.is_current(record.value) for record in records)
        keys = self._keys
        return Status(
            keys.active is not None,
            keys.active or "",
            tuple(key.id for key in keys.keys),
            "settled" if keys.settled else "re-encrypting",
            current,
            len(records),
        )

    def enable(self) -> None:
        """Raises EncryptionError."""
        if self._keys.active is not None:
            raise EncryptionError("secrets are encrypted already")
        self._begin(KeyEncryptionKey.made())

    def rotate(self) -> None:
        """Raises EncryptionError."""
        if self._keys.active is None:
            raise EncryptionError("secrets are not encrypted")
        self._begin(KeyEncryptionKey.made())

    def disable(self) -> None:
        """Raises EncryptionError."""
        if self._keys.active is None:
            raise EncryptionError("secrets are not encrypted")
        self._begin(None)

    def _begin(self, key: KeyEncryptionKey | None) -> None:
        if not self._keys.settled:
            raise EncryptionError("a re-encryption is under way; wait until its stage is settled")
        keys = (*self._keys.keys, key) if key is not None else self._keys.keys
        self._use(Keys(keys, key.id if key is not None else None, settled=False))
        self.settled.clear()
        self._wanted.set()

    def _use(self, keys: Keys) -> None:
        """The file first: what is stored from now on must be readable after a crash."""
        write_private(self._path, msgspec.json.format(msgspec.json.encode(keys)) + b"\n")
        self._keys = keys
        self._known.update({key.id: key for key in keys.keys})
        self.store.envelopes = self._envelopes()

    def _envelopes(self) -> Envelopes:
        """Also opens with keys that the file has forgotten: somebody may still be reading what is superseded."""
        return Envelopes(tuple(self._known.values()), self._keys.active)

    async def _settle(self) -> None:
        while stale := [one for one in await self._records() if not self.store.envelopes.is_current(one.value)]:
            for begin in range(0, len(stale), AT_ONCE):
                await asyncio.gather(*(self._rewrite(record) for record in stale[begin : begin + AT_ONCE]))
        await self.store.inner.scrub()
        keys = self._keys
        self._use(Keys(tuple(key for key in keys.keys if key.id == keys.active), keys.active, settled=True))
        log.info("all secrets are %s", f"encrypted with the key {keys.active}" if keys.active else "plain")

    async def _rewrite(self, record: Record) -> None:
        """Whoever writes it first, we or somebody else, writes it as it should be."""
        envelopes = self.store.envelopes
        value = envelopes.seal(record.key, envelopes.open(record.key, record.value))
        try:
            await self.store.inner.update(record.key, value, expect=record.revision)
        except RevisionMismatch:
            return

    async def _records(self) -> list[Record]:
        pages = [await self.store.inner.list(prefix) for prefix in self.store.prefixes]
        return [record for page in pages for record in page.records]


def _read(path: Path) -> Keys:
    """Raises StoreError for a file that is none of ours: to go on without it would lose the secrets."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Keys)
    except FileNotFoundError:
        return Keys()
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
