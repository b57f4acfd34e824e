"""Keys that sign service account tokens: one signs, that one and its predecessors are believed.

`service-account.key` signs; `service-account.<key id>.pub` are those it has followed. Whoever replaces the files
(`rotate` here) needs no restart: they are read again when they have changed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from minikube.kit.files import write_private
from minikube.pki.certificates import ensure_key

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
CURVES: Mapping[int, tuple[str, str]] = {256: ("P-256", "ES256"), 384: ("P-384", "ES384"), 521: ("P-521", "ES512")}
"""Key size -> (JWK curve, JWS algorithm)."""


class VerificationKey(msgspec.Struct, frozen=True):
    key: PublicKey
    id: str
    algorithm: str


class SigningKeys:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[object, ...] = ()
        self._private: PrivateKey = ensure_signing_key(path)
        self._public: tuple[VerificationKey, ...] = ()

    @property
    def signing(self) -> tuple[PrivateKey, VerificationKey]:
        public = self.verification[0]
        return self._private, public

    @property
    def verification(self) -> tuple[VerificationKey, ...]:
        """The signing key's own first."""
        seen = tuple(path.stat().st_mtime_ns for path in (self._path, self._path.parent))
        if seen != self._seen:
            self._private = ensure_signing_key(self._path)
            files = sorted(self._path.parent.glob(f"{self._path.stem}.*.pub"))
            older = [_public(file.read_bytes()) for file in files]
            self._public = tuple(verification_key(key) for key in (self._private.public_key(), *older))
            self._seen = seen
        return self._public


def ensure_signing_key(path: Path) -> PrivateKey:
    """Any key in PEM, RSA or elliptic curve; one is made if there is none."""
    if not path.exists():
        return ensure_key(path)
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(loaded, PrivateKey):
        raise ValueError(f"{path}: service account tokens are signed with RSA or elliptic curve keys")
    return loaded


def rotate(path: Path) -> str:
    """A new key signs from now on, the old one stays believed; answers the new one's id. May be repeated."""
    old = verification_key(ensure_signing_key(path).public_key())
    kept = path.with_name(f"{path.stem}.{old.id}.pub")
    write_private(kept, _spki(old.key, serialization.Encoding.PEM))
    made = path.with_name(path.name + ".next")
    made.unlink(missing_ok=True)
    key = ensure_key(made)
    made.replace(path)
    return verification_key(key.public_key()).id


def forget(path: Path) -> int:
    """Only the present key is believed from now on; how many others there were."""
    older = list(path.parent.glob(f"{path.stem}.*.pub"))
    for one in older:
        one.unlink()
    return len(older)


def verification_key(key: PublicKey) -> VerificationKey:
    """Its id is the base64url SHA-256 of the key in DER, as kube-apiserver's."""
    digest = hashlib.sha256(_spki(key, serialization.Encoding.DER)).digest()
    algorithm = "RS256" if isinstance(key, rsa.RSAPublicKey) else CURVES[key.key_size][1]
    return VerificationKey(key, _base64url(digest), algorithm)


def jwks(keys: Sequence[VerificationKey]) -> dict[str, Any]:
    """The JSON Web Key Set (RFC 7517) of these keys."""
    return {"keys": [_jwk(one) for one in keys]}


def _jwk(one: VerificationKey) -> dict[str, str]:
    common = {"use": "sig", "kid": one.id, "alg": one.algorithm}
    if isinstance(one.key, rsa.RSAPublicKey):
        numbers = one.key.public_numbers()
        return {**common, "kty": "RSA", "n": _base64url_of(numbers.n), "e": _base64url_of(numbers.e)}
    point = one.key.public_numbers()
    size = (one.key.key_size + 7) // 8
    curve = CURVES[one.key.key_size][0]
    x, y = _base64url_of(point.x, size), _base64url_of(point.y, size)
    return {**common, "kty": "EC", "crv": curve, "x": x, "y": y}


def _public(pem: bytes) -> PublicKey:
    loaded = serialization.load_pem_public_key(pem)
    if not isinstance(loaded, PublicKey):
        raise ValueError("service account tokens are signed with RSA or elliptic curve keys")
    return loaded


def _spki(key: PublicKey, encoding: serialization.Encoding) -> bytes:
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def _base64url_of(number: int, size: int = 0) -> str:
    return _base64url(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
