"""minikube certificate: what there is on this machine, new ones now, another CA. Works on files, as root."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from cryptography import x509

from minikube.commands.base import own_settings, table
from minikube.pki.certificates import RENEW_AFTER
from minikube.pki.rotation import CAS, begin, finish, request_renewal
from minikube.resources.base import human_duration
from minikube.settings import Settings


class Found(msgspec.Struct, frozen=True):
    """One certificate in a file."""

    file: str
    subject: str
    issuer: str
    since: datetime
    until: datetime

    def state(self, now: datetime) -> str:
        if now < self.since:
            return "not yet valid: is the clock right?"
        if now >= self.until:
            return "EXPIRED"
        if now >= self.since + (self.until - self.since) * RENEW_AFTER and self.subject != self.issuer:
            return "renewal due"
        return "ok"


@click.group()
def certificate() -> None:
    """Certificates of this machine: server's, node's, CAs."""


@certificate.command()
def check() -> None:
    """Show what certificates there are and how long they are good; fails when one is not."""
    settings = own_settings()
    now = datetime.now(UTC)
    found = list(certificates_of(settings))
    if not found:
        raise click.ClickException(f"there are no certificates in {settings.data_dir} (or they may not be read)")
    rows: list[tuple[str, ...]] = [("CERTIFICATE", "SUBJECT", "ISSUER", "EXPIRES", "LEFT", "STATE")]
    for each in found:
        left = human_duration(max(0.0, (each.until - now).total_seconds()))
        expires = f"{each.until:%Y-%m-%dT%H:%M:%SZ}"
        rows.append((each.file, each.subject, each.issuer, expires, left, each.state(now)))
    click.echo(table(rows))
    if any(not each.since <= now < each.until for each in found):
        raise SystemExit(1)


@certificate.command()
def rotate() -> None:
    """Ask the running server or agent for new certificates now; nothing is restarted, no connection is dropped."""
    asked = [directory for directory in _directories(own_settings()) if directory.is_dir()]
    if not asked:
        raise click.ClickException("neither a server nor an agent has run on this machine")
    for directory in asked:
        request_renewal(directory)
    click.echo("new certificates are issued within a few seconds; `minikube certificate check` shows them")


@certificate.command("rotate-ca")
@click.option("--finish", "finishing", is_flag=True, help="Forget the old CAs: whoever trusts only them is out.")
def rotate_ca(finishing: bool) -> None:
    """Change the CAs of the cluster. Both old and new are trusted until it is run again with --finish.

    Certificates are issued anew by the new CAs at once, everywhere; pods see both CAs in kube-root-ca.crt and are
    not restarted. Wait before --finish until every node is there and pods have read the file (some minutes).
    """
    directory = own_settings().tls_dir
    try:
        if finishing:
            finished = [finish(directory, name) for name in CAS]
            if not any(finished):
                raise click.ClickException("no change of a CA is under way")
            click.echo("the old CAs are forgotten")
            return
        for name in CAS:
            begin(directory, name, datetime.now(UTC))
    except ValueError as error:
        raise click.ClickException(f"{error}; end it with --finish") from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; run this on a server, as root") from error
    click.echo(
        "new CAs sign from now on, the old ones are trusted still; node-token changes with them.\n"
        "When every node and pod has the new ones, run: minikube certificate rotate-ca --finish"
    )


def certificates_of(settings: Settings) -> Iterator[Found]:
    """All of this machine: server's and node's."""
    for directory in _directories(settings):
        yield from certificates(directory)


def certificates(directory: Path) -> Iterator[Found]:
    """All in the files of a directory."""
    for path in sorted(directory.glob("*.crt")) if directory.is_dir() else ():
        for each in x509.load_pem_x509_certificates(path.read_bytes()):
            yield Found(
                f"{directory.parent.name}/{path.stem}",
                each.subject.rfc4514_string(),
                each.issuer.rfc4514_string(),
                each.not_valid_before_utc,
                each.not_valid_after_utc,
            )


def _directories(settings: Settings) -> list[Path]:
    return [settings.tls_dir, settings.agent_dir / "tls"]
