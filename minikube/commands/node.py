"""minikube node: shut a machine out, and let one in again under a name that is taken."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from minikube.api.core_v1 import Node, Secret
from minikube.auth import node_identity as identity
from minikube.client.base import Client
from minikube.client.http import HttpClient
from minikube.commands.base import on_cluster
from minikube.controllers.control_plane import LABEL as CONTROL_PLANE
from minikube.errors import NotFound
from minikube.settings import Settings


@click.group()
def node() -> None:
    """The machines of the cluster."""


@node.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Shut a node out at once: its credentials are dead, its connections closed, its pods evicted."""

    async def work(client: HttpClient, settings: Settings) -> None:
        found = await _record(client, name)
        nodes = await client.list(Node, fields=f"metadata.name={name}")
        if found is None and not nodes.items:
            raise NotFound.of("nodes", "", name)
        if any(CONTROL_PLANE in node.metadata.labels for node in nodes.items):
            raise click.ClickException(
                f"{name} is a server: it has the keys of the cluster's CAs, with which it could let itself in again"
            )
        await _write(client, identity.revoked(name, datetime.now(UTC), found), found)
        click.echo(
            f"node {name} revoked; if that machine knows a join token, `minikube token rotate` makes it worthless; "
            f"`minikube node rejoin {name}` lets a machine join under this name again"
        )

    on_cluster(work)


@node.command()
@click.argument("name")
def rejoin(name: str) -> None:
    """Free a name, so that a machine installed again (or another one) can join with a token under it."""

    async def work(client: HttpClient, settings: Settings) -> None:
        found = await _record(client, name)
        if found is None:
            raise click.ClickException(f"no machine has joined as {name}: the name is free")
        await _write(client, identity.free(name, found), found)
        click.echo(f"the name {name} is free: the next machine that joins with a token gets it")

    on_cluster(work)


async def _record(client: Client, node: str) -> Secret | None:
    try:
        return await client.get(Secret, identity.secret_name(node), identity.NAMESPACE)
    except NotFound:
        return None


async def _write(client: Client, record: Secret, old: Secret | None) -> None:
    await (client.update(record) if old is not None else client.create(record))
