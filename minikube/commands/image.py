"""minikube image: the images of this machine's runtime, without the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minikube.commands.base import own_settings, table
from minikube.settings import Settings, SettingsError

if TYPE_CHECKING:
    from minikube.node.runtime.base import Image
    from minikube.node.runtime.cri import CriRuntime

Work = Callable[["CriRuntime", Settings], Awaitable[None]]
ARCHIVE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.group()
def image() -> None:
    """Images of this machine: list, load, save, remove, pull."""


@image.command()
def ls() -> None:
    """List the images on this machine."""

    async def work(runtime: CriRuntime, settings: Settings) -> None:
        lines = sorted(line for each in await runtime.images() for line in _lines(each))
        click.echo(table([("IMAGE", "IMAGE ID", "SIZE"), *lines]))

    _on_runtime(work)


@image.command("load")
@click.argument("archives", nargs=-1, required=True, type=ARCHIVE)
def load_archives(archives: tuple[Path, ...]) -> None:
    """Load docker or OCI archives (.tar, .tar.gz, .tar.zst)."""

    async def work(runtime: CriRuntime, settings: Settings) -> None:
        for path in archives:
            for name in await runtime.import_archive(str(path)):
                click.echo(f"Loaded {name}")

    _on_runtime(work)


@image.command()
@click.argument("name")
@click.option("--output", "-o", required=True, type=OUTPUT)
def save(name: str, output: Path) -> None:
    """Save an image as a docker archive."""

    async def work(runtime: CriRuntime, settings: Settings) -> None:
        await runtime.save_image(name, output)
        click.echo(f"Saved {name} in {output}")

    _on_runtime(work)


@image.command()
@click.argument("names", nargs=-1, required=True)
def rm(names: tuple[str, ...]) -> None:
    """Remove images from this machine."""

    async def work(runtime: CriRuntime, settings: Settings) -> None:
        for name in names:
            if await runtime.image(name) is None:
                raise click.ClickException(f"{name}: there is no such image here")
            await runtime.remove_image(name)
            click.echo(f"Removed {name}")

    _on_runtime(work)


@image.command()
@click.argument("names", nargs=-1, required=True)
def pull(names: tuple[str, ...]) -> None:
    """Pull images with this machine's registry configuration."""
    from minikube.node.runtime.archive import full_name
    from minikube.node.runtime.pulls import pull as pull_as_configured
    from minikube.node.runtime.registries import Registries

    async def work(runtime: CriRuntime, settings: Settings) -> None:
        registries = Registries.load(settings)
        for name in names:
            found = (await pull_as_configured(runtime, registries, name)).image
            click.echo(f"Pulled {full_name(name)} ({_size(found.size)})")

    _on_runtime(work)


@image.command()
@click.argument("busybox", type=ARCHIVE)
@click.option("--output", "-o", required=True, type=OUTPUT)
def demo(busybox: Path, output: Path) -> None:
    """Make an archive with minikube/demo:1 and :2 around a static BUSYBOX."""
    from minikube.node.runtime.demo import demo_archive

    demo_archive(busybox, output)


def _on_runtime(work: Work) -> None:
    """Run it with this machine's runtime. Raises ClickException."""
    from minikube.node.runtime.base import RuntimeFault

    try:
        asyncio.run(_with_runtime(work, own_settings()))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    except RuntimeFault as error:
        raise click.ClickException(error.message) from error


async def _with_runtime(work: Work, settings: Settings) -> None:
    from minikube.node.runtime.containerd import Containerd
    from minikube.node.runtime.cri import CriRuntime

    runtime = CriRuntime(settings.container_runtime_endpoint or Containerd(settings).endpoint)
    try:
        await work(runtime, settings)
    finally:
        await runtime.close()


def _lines(found: Image) -> list[tuple[str, str, str]]:
    identity = found.id.removeprefix("sha256:")[:13]
    return [(name, identity, _size(found.size)) for name in found.tags or found.digests or ("<none>",)]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g}GB"
