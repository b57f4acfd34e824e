"""The authenticators that only the settings bring in."""

from __future__ import annotations

from pathlib import Path

from minikube.auth.base import Authenticator
from minikube.auth.front_proxy import FrontProxy
from minikube.auth.oidc import OidcAuthenticator, issuer_of
from minikube.auth.static_tokens import StaticTokens, read_static_tokens
from minikube.client.documents import WebDocuments
from minikube.kit.clock import Clock
from minikube.settings import Settings, SettingsError


def front_proxies(settings: Settings) -> tuple[Authenticator, ...]:
    """Asked before anybody else. Raises SettingsError."""
    if not settings.requestheader_client_ca_file:
        return ()
    path = Path(settings.requestheader_client_ca_file)
    try:
        return (FrontProxy(path, settings.requestheader_allowed_names),)
    except (OSError, ValueError) as error:
        raise SettingsError(f"requestheader-client-ca-file: {error}") from error


def configured_tokens(settings: Settings, audience: str, clock: Clock) -> tuple[Authenticator, ...]:
    """Asked last. `audience` is the API server. Raises SettingsError."""
    found: list[Authenticator] = []
    if settings.token_auth_file:
        found.append(StaticTokens(read_static_tokens(Path(settings.token_auth_file)), audience=audience))
    if settings.oidc_issuer_url:
        if not settings.oidc_client_id or not settings.oidc_issuer_url.startswith("https://"):
            raise SettingsError("oidc-issuer-url has to be an https URL and goes together with oidc-client-id")
        ca = Path(settings.oidc_ca_file) if settings.oidc_ca_file else None
        try:
            documents = WebDocuments(ca)
        except OSError as error:
            raise SettingsError(f"oidc-ca-file: {error}") from error
        found.append(OidcAuthenticator(issuer_of(settings), documents, clock))
    return tuple(found)
