"""Image archives in the images directory: imported when they appear, and remembered over a restart."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from minikube.kit.inotify import completed
from minikube.node.runtime.base import Runtime, RuntimeFault, Unavailable

log = logging.getLogger(__name__)
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")


class Imported(msgspec.Struct, frozen=True):
    """What one archive was when it was imported, and what it brought."""

    size: int
    modified_ns: int
    images: tuple[str, ...]


class Archives:
    """`import_all` before pods start, then `run`."""

    def __init__(self, runtime: Runtime, directory: Path, memory: Path) -> None:
        self._runtime, self._directory, self._memory = runtime, directory, memory
        self._imported: dict[str, Imported] = {}

    def images_now(self) -> frozenset[str]:
        """References that came out of archives: image garbage collection leaves them alone."""
        return frozenset(name for each in self._imported.values() for name in each.images)

    async def import_all(self) -> None:
        """Raises OSError, Unavailable; a broken archive is logged and left out."""
        self._imported = await asyncio.to_thread(self._remembered)
        for path in await asyncio.to_thread(self._present):
            await self._import(path)

    async def run(self) -> None:
        """Never ends. Raises OSError, Unavailable."""
        async for name in completed(self._directory):
            if not name:
                await self.import_all()
            elif name.endswith(SUFFIXES) and not name.startswith("."):
                await self._import(self._directory / name)

    async def _import(self, path: Path) -> None:
        found = await asyncio.to_thread(_stat, path)
        if found is None or await self._is_here(self._imported.get(path.name), found):
            return
        try:
            images = tuple(await self._runtime.import_archive(str(path)))
        except Unavailable:
            raise
        except RuntimeFault as error:
            log.warning("%s", error.message)
            return
        log.info("imported %s: %s", path.name, ", ".join(images))
        self._imported[path.name] = Imported(found.st_size, found.st_mtime_ns, images)
        await asyncio.to_thread(self._remember)

    async def _is_here(self, known: Imported | None, found: os.stat_result) -> bool:
        if known is None or (known.size, known.modified_ns) != (found.st_size, found.st_mtime_ns):
            return False
        return all([await self._runtime.image(name) for name in known.images])

    def _present(self) -> list[Path]:
        self._directory.mkdir(parents=True, exist_ok=True)
        return sorted(path for path in self._directory.iterdir() if _is_archive(path))

    def _remembered(self) -> dict[str, Imported]:
        try:
            held: Mapping[str, Imported] = msgspec.json.decode(self._memory.read_bytes(), type=dict[str, Imported])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}
        return {name: each for name, each in held.items() if (self._directory / name).exists()}

    def _remember(self) -> None:
        self._memory.write_bytes(msgspec.json.encode(self._imported))


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_archive(path: Path) -> bool:
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".") and path.is_file()
