"""`minikube secrets-encrypt`: asks the server of this machine, as its administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from minikube.client.http import HttpClient
from minikube.settings import Settings
from minikube.transport.client import client_context

PATH = "/minikube/v1/secrets-encryption"
POLL_SECONDS = 0.3


async def show(settings: Settings, say: Callable[[str], None]) -> None:
    """Raises ApiError, OSError."""
    async with administrator(settings) as client:
        told(await client.request("GET", PATH), say)


async def order(settings: Settings, action: str, say: Callable[[str], None]) -> None:
    """Returns when everything stored has followed. Raises ApiError, OSError."""
    async with administrator(settings) as client:
        status = await client.request("POST", PATH, {"action": action})
        while status["stage"] != "settled":
            await asyncio.sleep(POLL_SECONDS)
            status = await client.request("GET", PATH)
        told(status, say)


def told(status: Mapping[str, Any], say: Callable[[str], None]) -> None:
    say(f"Encryption: {'enabled' if status['enabled'] else 'disabled'}")
    if status["enabled"]:
        say(f"Key:        {status['key']} (AES-GCM)")
    say(f"Stage:      {status['stage']}")
    say(f"Secrets:    {status['done']} of {status['total']}")


def administrator(settings: Settings) -> HttpClient:
    """Talks to the server of this machine."""
    tls = settings.tls_dir
    context = client_context(tls / "server-ca.crt", tls / "client-admin.crt", tls / "client-admin.key")
    return HttpClient(f"https://127.0.0.1:{settings.https_listen_port}", context)
