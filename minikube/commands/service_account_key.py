"""minikube service-account-key: works on the file, as root; a running server notices by itself."""

from __future__ import annotations

import click

from minikube.commands.base import own_settings
from minikube.pki import signing_keys


@click.group("service-account-key")
def service_account_key() -> None:
    """The key that signs service account tokens; a running server notices by itself."""


@service_account_key.command()
def rotate() -> None:
    """Sign with a new key from now on; tokens signed with the old ones stay good."""
    identity = signing_keys.rotate(own_settings().tls_dir / "service-account.key")
    click.echo(f"Tokens are signed with {identity} now")


@service_account_key.command()
def forget() -> None:
    """Believe no token that an older key has signed any more."""
    count = signing_keys.forget(own_settings().tls_dir / "service-account.key")
    click.echo(f"Older keys forgotten: {count}")
