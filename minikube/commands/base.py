"""What the commands share: settings, a client, errors as people read them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import click

from minikube.client.http import HttpClient
from minikube.client.kubeconfig import client_from
from minikube.errors import ApiError
from minikube.settings import Settings, SettingsError, load

Work = Callable[[HttpClient, Settings], Awaitable[None]]


def own_settings() -> Settings:
    """Of this machine, from its configuration file and the environment. Raises ClickException."""
    try:
        return load({}, os.environ)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def on_cluster(work: Work) -> None:
    """Run it against the cluster of KUBECONFIG, or of the server on this machine. Raises ClickException."""
    try:
        asyncio.run(_with_client(work, own_settings()))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except ApiError as error:
        raise click.ClickException(error.message) from error


async def _with_client(work: Work, settings: Settings) -> None:
    path = Path(os.environ.get("KUBECONFIG") or settings.write_kubeconfig)
    async with client_from(path) as client:
        await work(client, settings)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as kubectl sets them: as wide as needed, three spaces between."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
