"""Environment variables from files that init containers write: `NAME='value'` lines. Rules: KEP-3721."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from minikube.api.core_v1 import Container
from minikube.node.pod.problems import ConfigProblem

LIMIT = 64 * 1024
_LINE = re.compile(r"(?P<name>[^\s=']+)='(?P<value>[^']*)'[ \t]*(?:\n|\Z)")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")

Files = Mapping[tuple[str, str], Mapping[str, str] | None]
"""(volume, path) -> its variables; None: there is no such file."""


def wanted_files(container: Container) -> list[tuple[str, str]]:
    """Volumes and paths of the files that its environment needs."""
    found = []
    for each in container.env:
        if each.value_from is not None and each.value_from.file_key_ref is not None:
            found.append((each.value_from.file_key_ref.volume_name, each.value_from.file_key_ref.path))
    return list(dict.fromkeys(found))


def parse(text: str) -> dict[str, str]:
    """Values are in single quotes, may span lines and are taken as they are. Raises ValueError."""
    found, at = {}, 0
    while at < len(text):
        if match := _LINE.match(text, at):
            found[match["name"]] = match["value"]
        else:
            match = _NOTHING.match(text, at)
        if match is None or match.end() == at:
            raise ValueError(f"invalid environment variable format at line {text.count(chr(10), 0, at) + 1}")
        at = match.end()
    return found


def read(path: Path, root: Path) -> dict[str, str] | None:
    """A file below `root`, whatever links say; None if it is not there. Raises ConfigProblem. Blocks."""
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise ConfigProblem(f'environment file "{path.name}" is not in its volume')
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigProblem(f'couldn\'t read environment file "{path.name}": {error.strerror}') from error
    if len(content) > LIMIT:
        raise ConfigProblem(f'environment file "{path.name}" is larger than {LIMIT} bytes')
    try:
        return parse(content.decode(errors="replace"))
    except ValueError as error:
        raise ConfigProblem(f'couldn\'t parse environment file "{path.name}": {error}') from error
