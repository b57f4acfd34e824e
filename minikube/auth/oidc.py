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
NOT_BEFORE_LEEWAY = 300.0


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
        self._keys: list[jwt.PyJWK] = []
        self._asked = float("-inf")

    async def authenticate(self, credentials: Credentials) -> User | None:
        """Raises Unauthorized for a token of this issuer that is not good."""
        token = credentials.bearer
        if not token or unverified(token).get("iss") != self._issuer.url:
            return None
        try:
            claims = await self._verified(token, jwt.get_unverified_header(token).get("kid"))
        except (jwt.PyJWTError, DocumentError) as error:
            raise Unauthorized(f"oidc: verify token: {error}") from error
        return user_of(self._issuer, claims)

    async def _verified(self, token: str, identity: str | None) -> Mapping[str, Any]:
        """With the key that it names, with any if it names none; keys are fetched when first needed and when the
        issuer signs with a new one. Raises DocumentError, PyJWTError."""
        try:
            return self._verified_now(token, identity)
        except (jwt.InvalidKeyError, jwt.InvalidSignatureError):
            if self._clock.monotonic() - self._asked < RETRY_SECONDS:
                raise
        self._asked = self._clock.monotonic()
        self._keys = await self._published()
        return self._verified_now(token, identity)

    def _verified_now(self, token: str, identity: str | None) -> Mapping[str, Any]:
        problem: jwt.PyJWTError = jwt.InvalidKeyError(f'the issuer has no key "{identity or ""}"')
        for key in self._keys:
            if identity and key.key_id != identity:
                continue
            try:
                return self._claims(token, key)
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
                problem = error
        raise problem

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        """Times as upstream's library looks at them: `nbf` may be a little ahead, `iat` does not matter."""
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=self._issuer.client_id,
            issuer=self._issuer.url,
            options={"require": ["exp"], "verify_nbf": False, "verify_iat": False},
        )
        since = claims.get("nbf", 0)
        if not isinstance(since, int | float) or since > self._clock.now().timestamp() + NOT_BEFORE_LEEWAY:
            raise jwt.ImmatureSignatureError(f"the token is not valid before {since}")
        return claims

    async def _published(self) -> list[jwt.PyJWK]:
        configuration = await self._documents.fetch(self._issuer.url.rstrip("/") + CONFIGURATION)
        if configuration.get("issuer") != self._issuer.url:
            raise DocumentError(f"the issuer calls itself {configuration.get('issuer')!r}")
        found = await self._documents.fetch(str(configuration.get("jwks_uri", "")))
        return jwt.PyJWKSet.from_dict(dict(found)).keys


def user_of(issuer: Issuer, claims: Mapping[str, Any]) -> User:
    """Raises Unauthorized when the claims name nobody."""
    name = claims.get(issuer.username_claim)
    if not isinstance(name, str) or not name:
        raise Unauthorized(f'oidc: parse username claims "{issuer.username_claim}": claim not present')
    if issuer.username_claim == "email" and claims.get("email_verified") is False:
        raise Unauthorized("oidc: email not verified")
    said = claims.get(issuer.groups_claim) if issuer.groups_claim else None
    groups = [said] if isinstance(said, str) else said or []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise Unauthorized(f'oidc: parse groups claim "{issuer.groups_claim}": strings are expected')
    prefixed = (f"{issuer.groups_prefix}{group}" for group in groups)
    return User(f"{issuer.username_prefix}{name}", groups=(*prefixed, AUTHENTICATED))
