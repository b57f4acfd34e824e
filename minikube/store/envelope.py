"""Envelopes: a value is encrypted with a data key, and the data key, itself encrypted with a key-encryption key,
lies beside it. All of it is AES-256-GCM; a value is bound to the store key it was written under.

    minikube:enc:aesgcm:v1:<key id>:  nonce 12, data key 32, tag 16  |  nonce 12, value, tag 16
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from minikube.store.errors import StoreError

MAGIC = b"minikube:enc:aesgcm:v1:"
NONCE, KEY, TAG = 12, 32, 16
WRAPPED = NONCE + KEY + TAG
USES = 1 << 24
"""Of one data key: far below the 2^32 values after which random nonces begin to repeat."""
REMEMBERED = 256


class SealedValue(StoreError):
    """A stored value cannot be opened: the key is missing, or somebody changed the value."""


class KeyEncryptionKey(msgspec.Struct, frozen=True):
    id: str
    secret: bytes

    @classmethod
    def made(cls) -> KeyEncryptionKey:
        return cls(os.urandom(4).hex(), os.urandom(KEY))


class _DataKey(msgspec.Struct):
    wrapped: bytes
    cipher: AESGCM
    uses: int = 0


class Envelopes:
    """Seals with `active` (None: leaves values as they are), opens what any of `keys` has sealed."""

    def __init__(self, keys: Sequence[KeyEncryptionKey], active: str | None) -> None:
        self._keys: Mapping[str, AESGCM] = {key.id: AESGCM(key.secret) for key in keys}
        self._active = active
        self._current: _DataKey | None = None
        self._opened: dict[bytes, AESGCM] = {}

    def seal(self, path: str, value: bytes) -> bytes:
        if self._active is None:
            return value
        data_key = self._current
        if data_key is None or data_key.uses >= USES:
            data_key = self._current = self._new_data_key(self._active)
        data_key.uses += 1
        nonce = os.urandom(NONCE)
        sealed = data_key.cipher.encrypt(nonce, value, path.encode())
        return b"".join((MAGIC, self._active.encode(), b":", data_key.wrapped, nonce, sealed))

    def open(self, path: str, stored: bytes) -> bytes:
        """Raises SealedValue."""
        identity = sealed_with(stored)
        if identity is None:
            return stored
        if identity not in self._keys:
            raise SealedValue(f"{path} is encrypted with the key {identity}, which is not among the keys at hand")
        begin = len(MAGIC) + len(identity) + 1
        wrapped, rest = stored[begin : begin + WRAPPED], stored[begin + WRAPPED :]
        try:
            cipher = self._opened.get(wrapped)
            if cipher is None:
                plain = self._keys[identity].decrypt(wrapped[:NONCE], wrapped[NONCE:], identity.encode())
                cipher = self._remember(wrapped, AESGCM(plain))
            return cipher.decrypt(rest[:NONCE], rest[NONCE:], path.encode())
        except InvalidTag as error:
            raise SealedValue(f"{path} cannot be decrypted with the key {identity}") from error

    def is_current(self, stored: bytes) -> bool:
        """Whether it is stored as it would be stored now."""
        return sealed_with(stored) == self._active

    def _new_data_key(self, active: str) -> _DataKey:
        plain, nonce = os.urandom(KEY), os.urandom(NONCE)
        wrapped = nonce + self._keys[active].encrypt(nonce, plain, active.encode())
        return _DataKey(wrapped, AESGCM(plain))

    def _remember(self, wrapped: bytes, cipher: AESGCM) -> AESGCM:
        if len(self._opened) >= REMEMBERED:
            self._opened.clear()
        self._opened[wrapped] = cipher
        return cipher


def sealed_with(stored: bytes) -> str | None:
    """The id of the key; None: it is not encrypted."""
    if not stored.startswith(MAGIC):
        return None
    return stored[len(MAGIC) :].partition(b":")[0].decode(errors="replace")
