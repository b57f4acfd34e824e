"""Join tokens: `K10<sha256 of the server's CA>::<id>.<secret>`.

What follows the colons is a Kubernetes bootstrap token, which the API takes as a bearer token by itself
(kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens). The hash is what lets a machine that knows
nothing else recognize its server before it says the secret.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

PREFIX = "K10"
ALPHABET = string.ascii_lowercase + string.digits
_BOOTSTRAP = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_JOIN = re.compile(rf"{PREFIX}([0-9a-f]{{64}})::([a-z0-9]{{6}})\.([a-z0-9]{{16}})")


class BootstrapToken(msgspec.Struct, frozen=True):
    id: str
    secret: str

    def __str__(self) -> str:
        return f"{self.id}.{self.secret}"


class JoinToken(msgspec.Struct, frozen=True):
    ca_hash: str
    bootstrap: BootstrapToken

    def __str__(self) -> str:
        return f"{PREFIX}{self.ca_hash}::{self.bootstrap}"


def new_bootstrap_token() -> BootstrapToken:
    return BootstrapToken(*("".join(secrets.choice(ALPHABET) for _ in range(size)) for size in (6, 16)))


def parse_bootstrap_token(text: str) -> BootstrapToken | None:
    """None: it is something else."""
    found = _BOOTSTRAP.fullmatch(text)
    return BootstrapToken(found[1], found[2]) if found else None


def parse_join_token(text: str) -> JoinToken:
    """Raises ValueError, which never repeats the token."""
    found = _JOIN.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "this is not a join token: one looks like K10<64 hex digits>::<6 characters>.<16 characters>; "
            "`minikube token create` on the server prints a new one"
        )
    return JoinToken(found[1], BootstrapToken(found[2], found[3]))


def ca_hashes(bundle: bytes) -> dict[str, bytes]:
    """What a join token says of each CA in a PEM bundle -> that CA alone, as PEM."""
    found = {}
    for certificate in x509.load_pem_x509_certificates(bundle):
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        found[digest] = certificate.public_bytes(Encoding.PEM)
    return found


def ca_hash(pem: bytes) -> str:
    """Of the first CA in the bundle: the one that signs."""
    return next(iter(ca_hashes(pem)))
