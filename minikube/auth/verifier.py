"""Signed tokens (JWT): what they say, believed only when one of our keys has signed it with its own algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from minikube.errors import Unauthorized
from minikube.pki.signing_keys import SigningKeys, VerificationKey

REMEMBERED = 4096


class Verifier:
    """Verifies each token of one issuer once, as long as the keys are the same."""

    def __init__(self, keys: SigningKeys, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._known: dict[str, Mapping[str, Any]] = {}
        self._known_with: tuple[VerificationKey, ...] = ()

    def claims(self, token: str) -> Mapping[str, Any] | None:
        """None: not a token of this issuer. Raises Unauthorized."""
        present = self._keys.verification
        if self._known_with != present:
            self._known_with = present
            self._known.clear()
        claims = self._known.get(token)
        if claims is None:
            if not token or unverified(token).get("iss") != self._issuer:
                return None
            claims = verified(token, present)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[token] = claims
        return claims


def unverified(token: str) -> Mapping[str, Any]:
    """What a token says of itself; nothing when it is no JWT. Believe only what has been verified."""
    try:
        found: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}
    return found


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    said = claims.get("aud") or ()
    return (said,) if isinstance(said, str) else tuple(said)


def verified(token: str, known: tuple[VerificationKey, ...]) -> Mapping[str, Any]:
    """The claims of a token that one of the keys has signed with its own algorithm; time is the caller's to judge.
    Raises Unauthorized."""
    try:
        identity = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise Unauthorized(str(error)) from error
    for one in [key for key in known if key.id == identity] or known:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                one.key,
                algorithms=[one.algorithm],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError:
            continue
        return claims
    raise Unauthorized("no key of this cluster has signed this token")
