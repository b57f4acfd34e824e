"""Swagger 2.0 documents of several servers put together. Rules: kube-openapi's aggregator.

Only paths of the group version that a server was asked for count, with the definitions that they need. A definition
whose name means something else already gets another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Tree = Mapping[str, Any]
DEFINITIONS = "#/definitions/"


def part_of(document: Tree, root: str) -> dict[str, dict[str, Any]]:
    """The `paths` at or below `root` (apis/<group>/<version>) and the `definitions` that they lead to."""
    prefix = f"/{root}"
    paths = {
        path: item
        for path, item in (document.get("paths") or {}).items()
        if path == prefix or path.startswith(f"{prefix}/")
    }
    known, found = document.get("definitions") or {}, dict[str, Any]()
    todo = list(_references(paths))
    while todo:
        name = todo.pop()
        if name not in found and name in known:
            found[name] = known[name]
            todo += _references(known[name])
    return {"paths": paths, "definitions": found}


def merged(document: Tree, parts: Iterable[Tree]) -> dict[str, Any]:
    """What the document has already stays as it is."""
    paths, definitions = dict(document["paths"]), dict(document["definitions"])
    for part in parts:
        names = {name: _name_for(name, tree, definitions) for name, tree in part["definitions"].items()}
        for name, tree in part["definitions"].items():
            definitions.setdefault(names[name], _renamed(tree, names))
        for path, item in part["paths"].items():
            paths.setdefault(path, _renamed(item, names))
    return {**document, "paths": paths, "definitions": definitions}


def _name_for(name: str, tree: Any, taken: Tree) -> str:
    wanted, number = name, 1
    while wanted in taken and taken[wanted] != tree:
        number += 1
        wanted = f"{name}_v{number}"
    return wanted


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        for field, value in tree.items():
            if field == "$ref" and isinstance(value, str):
                yield value.removeprefix(DEFINITIONS)
            else:
                yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


def _renamed(tree: Any, names: Mapping[str, str]) -> Any:
    if isinstance(tree, Mapping):
        return {
            field: DEFINITIONS + names.get(name := value.removeprefix(DEFINITIONS), name)
            if field == "$ref" and isinstance(value, str)
            else _renamed(value, names)
            for field, value in tree.items()
        }
    return [_renamed(value, names) for value in tree] if isinstance(tree, list) else tree
