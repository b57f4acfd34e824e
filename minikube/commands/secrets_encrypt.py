"""minikube secrets-encrypt: asks the server of this machine, as its administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import click

from minikube.client.http import HttpClient
from minikube.commands.base import own_settings
from minikube.errors import ApiError
from minikube.settings import Settings
from minikube.transport.client import client_context

PATH = "/minikube/v1/secrets-encryption"
POLL_SECONDS = 0.3


@click.group("secrets-encrypt")
def secrets_encrypt() -> None:
    """Encryption of secrets at rest: status, enable, rotate, disable (on a running server)."""


@secrets_encrypt.command()
def status() -> None:
    """Whether secrets are encrypted, with which key, and how many are so yet."""
    _ask(_show)


@secrets_encrypt.command()
def enable() -> None:
    """Make a key and encrypt all secrets with it."""
    _ask(partial(_order, "enable"))


@secrets_encrypt.command()
def rotate() -> None:
    """Make a new key, encrypt all secrets with it and forget the old one."""
    _ask(partial(_order, "rotate"))


@secrets_encrypt.command()
def disable() -> None:
    """Store all secrets as they are and forget the key."""
    _ask(partial(_order, "disable"))


async def _show(client: HttpClient) -> None:
    _say(await client.request("GET", PATH))


async def _order(action: str, client: HttpClient) -> None:
    """Returns when everything stored has followed."""
    status = await client.request("POST", PATH, {"action": action})
    while status["stage"] != "settled":
        await asyncio.sleep(POLL_SECONDS)
        status = await client.request("GET", PATH)
    _say(status)


def _say(status: Mapping[str, Any]) -> None:
    click.echo(f"Encryption: {'enabled' if status['enabled'] else 'disabled'}")
    if status["enabled"]:
        click.echo(f"Key:        {status['key']} (AES-GCM)")
    click.echo(f"Stage:      {status['stage']}")
    click.echo(f"Secrets:    {status['done']} of {status['total']}")


def _ask(work: Callable[[HttpClient], Awaitable[None]]) -> None:
    """Raises ClickException."""
    settings = own_settings()

    async def asking() -> None:
        async with _administrator(settings) as client:
            await work(client)

    try:
        asyncio.run(asking())
    except ApiError as error:
        raise click.ClickException(error.message) from error
    except OSError as error:
        raise click.ClickException(f"the server of this machine cannot be reached: {error}") from error


def _administrator(settings: Settings) -> HttpClient:
    """Talks to the server of this machine."""
    tls = settings.tls_dir
    context = client_context(tls / "server-ca.crt", tls / "client-admin.crt", tls / "client-admin.key")
    return HttpClient(f"https://127.0.0.1:{settings.https_listen_port}", context)
