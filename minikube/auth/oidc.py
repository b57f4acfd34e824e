"""OpenID Connect: ID tokens of somebody else's issuer, checked with the keys it publishes.

Rules: kubernetes.io/docs/reference/access-authn-authz/authentication#openid-connect-tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jwt
import msgspec

from minikube.auth.base import AUTHENTICATED, Credentials, User
from minikube.auth.verifier import unverified
from minikube.client.documents import DocumentError
from minikube.errors import Unauthorized
from minikube.kit.clock import Clock
from minikube.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
CONFIGURATION = "/.well-known/openid-configuration"
RETRY_SECONDS = 10.0
"""How soon keys are fetched again for a token whose key is not among them."""


class Documents(Protocol):
    async def fetch(self, url: str) -> Mapping[str, Any]:
        """The JSON object there. Raises DocumentError."""
        ...


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose tokens are accepted, and how their claims become a user."""

    url: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""


def issuer_of(settings: Settings) -> Issuer:
    prefix = settings.oidc_username_prefix
    if not prefix and settings.oidc_username_claim != "email":
        prefix = f"{settings.oidc_issuer_url}#"
    return Issuer(
        url=settings.oidc_issuer_url,
        client_id=settings.oidc_client_id,
        username_claim=settings.oidc_username_claim,
        username_prefix="" if prefix == "-" else prefix,
        groups_claim=settings.oidc_groups_claim,
        groups_prefix=settings.oidc_groups_prefix,
    )


class OidcAuthenticator:
    def __init__(self, issuer: Issuer, documents: Documents, clock: Clock) -> None:
        self._issuer = issuer
        self._documents = documents
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = float("-inf")

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized for a token of this issuer that is not good."""
        token = credentials.bearer
        if not token or unverified(token).get("iss") != self._issuer.url:
            return None
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._issuer.client_id,
                issuer=self._issuer.url,
                options={"require": ["exp"]},
            )
        except (jwt.PyJWTError, DocumentError) as error:
            raise Unauthorized(f"oidc: verify token: {error}") from error
        return user_of(self._issuer, claims)

    async def _key(self, identity: str) -> jwt.PyJWK:
        """Fetched when first needed and when the issuer signs with a new one. Raises DocumentError, PyJWTError."""
        found = self._keys.get(identity)
        if found is not None:
            return found
        if self._clock.monotonic() - self._asked >= RETRY_SECONDS:
            self._asked = self._clock.monotonic()
            self._keys = await self._published()
        if identity not in self._keys:
            raise jwt.InvalidKeyError(f'the issuer has no key "{identity}"')
        return self._keys[identity]

    async def _published(self) -> dict[str, jwt.PyJWK]:
        configuration = await self._documents.fetch(self._issuer.url.rstrip("/") + CONFIGURATION)
        if configuration.get("issuer") != self._issuer.url:
            raise DocumentError(f"the issuer calls itself {configuration.get('issuer')!r}")
        found = await self._documents.fetch(str(configuration.get("jwks_uri", "")))
        return {str(key.key_id or ""): key for key in jwt.PyJWKSet.from_dict(dict(found)).keys}


def user_of(issuer: Issuer, claims: Mapping[str, Any]) -> User:
    """Raises Unauthorized when the claims name nobody."""
    name = claims.get(issuer.username_claim)
    if not isinstance(name, str) or not name:
        raise Unauthorized(f'oidc: parse username claims "{issuer.username_claim}": claim not present')
    if issuer.username_claim == "email" and claims.get("email_verified") is False:
        raise Unauthorized("oidc: email not verified")
    said = claims.get(issuer.groups_claim) if issuer.groups_claim else None
    groups = [said] if isinstance(said, str) else list(said or ())
    if not all(isinstance(group, str) for group in groups):
        raise Unauthorized(f'oidc: parse groups claim "{issuer.groups_claim}": strings are expected')
    prefixed = (f"{issuer.groups_prefix}{group}" for group in groups)
    return User(f"{issuer.username_prefix}{name}", groups=(*prefixed, AUTHENTICATED))
