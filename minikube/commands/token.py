"""minikube token: what joins machines to the cluster. Columns and defaults are those of `kubeadm token`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import click

from minikube.api.core_v1 import ConfigMap, Secret
from minikube.auth import bootstrap_tokens as tokens
from minikube.client.base import Client
from minikube.client.http import HttpClient
from minikube.commands.base import on_cluster, table
from minikube.errors import NotFound
from minikube.kit.files import write_private
from minikube.pki.join_token import (
    BootstrapToken,
    JoinToken,
    ca_hash,
    new_bootstrap_token,
    parse_bootstrap_token,
    parse_join_token,
)
from minikube.pki.server import OWN_TOKEN
from minikube.resources.base import human_duration
from minikube.settings import Settings, SettingsError, seconds_of

ROLES = {"node": tokens.NODE_GROUP, "none": ""}
"""What holders of a token may do beyond saying who they are."""


@click.group()
def token() -> None:
    """Tokens that join machines to the cluster."""


@token.command()
@click.argument("given", metavar="[TOKEN]", default="")
@click.option("--ttl", default="24h", show_default=True, help="How long it can be used (0: for ever).")
@click.option("--description", default="", help="What it is for.")
@click.option("--role", type=click.Choice(list(ROLES)), default="node", show_default=True, help="What it lets do.")
def create(given: str, ttl: str, description: str, role: str) -> None:
    """Make a join token (or take TOKEN, <6>.<16> characters) and print it."""
    made = parse_bootstrap_token(given) if given else new_bootstrap_token()
    if made is None:
        raise click.UsageError("a token is <6 characters>.<16 characters> of a-z and 0-9")
    until = _until(ttl)

    async def work(client: HttpClient, settings: Settings) -> None:
        await client.create(tokens.token_secret(made, description=description, expires=until, groups=ROLES[role]))
        click.echo(JoinToken(await _ca_hash(client), made))

    on_cluster(work)


@token.command("list")
def list_() -> None:
    """Show the tokens there are; secrets stay secret."""

    async def work(client: HttpClient, settings: Settings) -> None:
        found = await client.list(Secret, tokens.NAMESPACE, fields=f"type={tokens.TYPE}")
        now = datetime.now(UTC)
        rows: list[tuple[str, ...]] = [("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")]
        rows += sorted(row(tokens.values_of(secret), now) for secret in found.items)
        click.echo(table(rows))

    on_cluster(work)


@token.command()
@click.argument("names", metavar="ID...", nargs=-1, required=True)
def delete(names: tuple[str, ...]) -> None:
    """Delete tokens, named by id or in full: nobody can join with them any more."""

    async def work(client: HttpClient, settings: Settings) -> None:
        for name in names:
            found = name.rpartition("::")[2].partition(".")[0]
            try:
                await client.delete(Secret, tokens.NAME_PREFIX + found, tokens.NAMESPACE)
            except NotFound:
                raise click.ClickException(f"there is no token with the id {found}") from None
            click.echo(f"token {found} deleted")

    on_cluster(work)


@token.command()
def rotate() -> None:
    """Give this server another join token of its own and print it; the old one is dead, who has joined stays."""

    async def work(client: HttpClient, settings: Settings) -> None:
        if settings.token:
            raise SettingsError("this server's token is a setting (token): change it there and restart")
        path = settings.server_dir / OWN_TOKEN
        try:
            old = parse_join_token(path.read_text()).bootstrap
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path}: {error}; run this on the server") from error
        made = new_bootstrap_token()
        await client.create(tokens.own_token_secret(made))
        printed = JoinToken(await _ca_hash(client), made)
        write_private(path, f"{printed}\n".encode())
        await _forget(client, old)
        click.echo(printed)

    on_cluster(work)


def row(values: Mapping[str, str], now: datetime) -> tuple[str, ...]:
    try:
        at = tokens.expiration(values)
    except ValueError:
        ttl, expires = "<invalid>", values.get("expiration", "")
    else:
        left = (at - now).total_seconds() if at is not None else 0
        ttl = "<forever>" if at is None else human_duration(left) if left > 0 else "<expired>"
        expires = values.get("expiration") or "<never>"
    usages = [name for name in ("authentication", "signing") if values.get(f"usage-bootstrap-{name}") == "true"]
    return (
        values.get("token-id", ""),
        ttl,
        expires,
        ",".join(usages) or "<none>",
        values.get("description") or "<none>",
        values.get("auth-extra-groups") or "<none>",
    )


def _until(ttl: str) -> datetime | None:
    try:
        seconds = 0.0 if ttl == "0" else seconds_of(ttl)
    except ValueError as error:
        raise click.UsageError(f"--ttl: {error}") from error
    return datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None


async def _ca_hash(client: Client) -> str:
    """Of the CA that signs the server's certificate now."""
    found = await client.get(ConfigMap, "kube-root-ca.crt", "kube-system")
    return ca_hash(found.data["ca.crt"].encode())


async def _forget(client: Client, old: BootstrapToken) -> None:
    try:
        await client.delete(Secret, tokens.NAME_PREFIX + old.id, tokens.NAMESPACE)
    except NotFound:
        return
