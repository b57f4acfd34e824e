"""Carries admission reviews to webhooks: by URL, or to a ready endpoint of a Service through its node's agent.

Words of failures: net/http and k8s.io/apiserver/pkg/util/webhook, which people search for.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Iterator

import aiohttp
from yarl import URL

from minikube.admission.webhooks.base import CallFailed
from minikube.api.admissionregistration_v1 import ServiceReference, WebhookClientConfig
from minikube.apiserver.service_sessions import ServiceSessions
from minikube.errors import ApiError

HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, */*",
    "User-Agent": "kube-apiserver-admission",
}
ANSWER_LIMIT = 8 * 1024 * 1024


class WebhookCalls:
    """A Caller (admission/webhooks/base.py)."""

    def __init__(self, sessions: ServiceSessions) -> None:
        self._sessions = sessions

    async def call(self, target: WebhookClientConfig, body: bytes, *, timeout: float) -> bytes:
        service = target.service
        shown = url_of(target, timeout)
        # Inside a stream of ours there is TLS already: aiohttp is not to begin another one.
        url = URL(shown.replace("https", "http", 1) if service is not None else shown)
        try:
            context = trusting(target.ca_bundle)
            session = self._to_service(service, context) if service is not None else _to_url(context)
            posted = session.post(url, data=body, headers=HEADERS, allow_redirects=False)
            async with asyncio.timeout(timeout), session, posted as answer:
                said = await answer.content.read(ANSWER_LIMIT)
        except TimeoutError as error:
            raise CallFailed(f'Post "{shown}": context deadline exceeded') from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CallFailed(f'Post "{shown}": {reason(error)}') from error
        except ApiError as error:
            raise CallFailed(f'Post "{shown}": {error.message}') from error
        if answer.status != 200:
            raise CallFailed(refused(answer.status, said))
        return said

    def _to_service(self, service: ServiceReference, context: ssl.SSLContext) -> aiohttp.ClientSession:
        return self._sessions.to(service.namespace, service.name, service.port or 443, context)


def _to_url(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True))


def url_of(target: WebhookClientConfig, timeout: float) -> str:
    """As messages show it, with its port. Raises CallFailed."""
    service = target.service
    if service is None and not target.url:
        raise CallFailed("webhook has neither a URL nor a service")
    base = target.url
    if service is not None:
        path = "/" + (service.path or "").lstrip("/")
        base = f"https://{service.name}.{service.namespace}.svc:{service.port or 443}{path}"
    return f"{base}{'&' if '?' in base else '?'}timeout={timeout:g}s"


def trusting(bundle: str) -> ssl.SSLContext:
    """The PEM certificates in a base64 bundle, or this machine's own CAs. Raises ValueError."""
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise ValueError(f"unable to load root certificates: {error}") from error


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def reason(error: Exception) -> str:
    unverified = next((each for each in chain(error) if isinstance(each, ssl.SSLCertVerificationError)), None)
    if unverified is not None:
        return f"tls: failed to verify certificate: x509: {unverified.verify_message}"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return f"dial tcp {error.host}:{error.port}: connect: connection refused"
    return str(error) or "EOF"


def refused(status: int, body: bytes) -> str:
    if status == 404:
        return "the server could not find the requested resource"
    text = body[:200].decode(errors="replace").strip()
    return f'an error on the server ("{text}") has prevented the request from succeeding'
