"""`minikube image`: the images of this machine's runtime, without the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from minikube.node.runtime.archive import full_name
from minikube.node.runtime.base import Image, NotFound
from minikube.node.runtime.containerd import Containerd
from minikube.node.runtime.cri import CriRuntime
from minikube.node.runtime.registries import Registries
from minikube.settings import Settings


@asynccontextmanager
async def runtime_of(settings: Settings) -> AsyncIterator[CriRuntime]:
    runtime = CriRuntime(settings.container_runtime_endpoint or Containerd(settings).endpoint)
    try:
        yield runtime
    finally:
        await runtime.close()


async def show(settings: Settings) -> None:
    async with runtime_of(settings) as runtime:
        lines = sorted(line for image in await runtime.images() for line in _lines(image))
    width = max((len(name) for name, _, _ in lines), default=0)
    click.echo(f"{'IMAGE':{width}}   IMAGE ID        SIZE")
    for name, identity, size in lines:
        click.echo(f"{name:{width}}   {identity}   {size}")


async def load(settings: Settings, archives: tuple[Path, ...]) -> None:
    async with runtime_of(settings) as runtime:
        for path in archives:
            for name in await runtime.import_archive(str(path)):
                click.echo(f"Loaded {name}")


async def save(settings: Settings, name: str, output: Path) -> None:
    async with runtime_of(settings) as runtime:
        await runtime.save_image(name, output)
    click.echo(f"Saved {full_name(name)} in {output}")


async def remove(settings: Settings, names: tuple[str, ...]) -> None:
    async with runtime_of(settings) as runtime:
        for name in names:
            if await runtime.image(name) is None:
                raise NotFound(f"{name}: there is no such image here")
            await runtime.remove_image(name)
            click.echo(f"Removed {full_name(name)}")


async def pull(settings: Settings, names: tuple[str, ...]) -> None:
    registries = Registries.load(settings)
    async with runtime_of(settings) as runtime:
        for name in names:
            image = await runtime.pull_image(name, auth=registries.auth(full_name(name)))
            click.echo(f"Pulled {full_name(name)} ({_size(image.size)})")


def _lines(image: Image) -> list[tuple[str, str, str]]:
    identity = image.id.removeprefix("sha256:")[:13]
    return [(name, identity, _size(image.size)) for name in image.tags or image.digests or ("<none>",)]


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g}GB"
