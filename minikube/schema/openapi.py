"""OpenAPI documents of what is served: /openapi/v2, /openapi/v3 and one document a group version.

Documents are plain trees built on demand: the caller keeps the encoded bytes, keyed by `fingerprint`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from minikube import KUBERNETES_VERSION
from minikube.schema.openapi_definitions import META, Definitions, Dialect
from minikube.schema.openapi_paths import Document, paths_of
from minikube.schema.structure import raw_definitions


class Subresource(msgspec.Struct, frozen=True, kw_only=True):
    """A subresource as served: its verbs, and the kind and definition it speaks (empty: its parent's)."""

    name: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    kind: str = ""
    definition: str = ""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One kind as it is served. Built-in kinds name their `definition`, custom ones carry their CRD `schema`."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: tuple[str, ...]
    definition: str = ""
    schema: Mapping[str, Any] | None = None
    list_kind: str = ""
    subresources: tuple[Subresource, ...] = ()

    @property
    def schema_name(self) -> str:
        """Its name among the definitions: com.example.v1.Widget for Widget of example.com/v1."""
        return self.definition or f"{'.'.join(reversed(self.group.split('.')))}.{self.version}.{self.kind}"

    @property
    def list_name(self) -> str:
        own = self.schema_name + "List"
        return own if own in raw_definitions() or not self.definition else ""

    @property
    def root(self) -> str:
        """The path of its group version without the leading slash: api/v1 or apis/apps/v1."""
        return f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"


def fingerprint(kinds: Iterable[Served]) -> str:
    """Changes when a document made of these kinds does; upper-case hex, as the ?hash= of /openapi/v3."""
    told = msgspec.json.encode([KUBERNETES_VERSION, *kinds], order="deterministic")
    return hashlib.sha512(told).hexdigest().upper()


def v2(kinds: Sequence[Served]) -> dict[str, Any]:
    """The Swagger 2.0 document of everything that is served."""
    document = _document(kinds, Dialect.V2)
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": document.paths,
        "definitions": document.definitions.found,
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer Token authentication",
                "in": "header",
                "name": "authorization",
                "type": "apiKey",
            }
        },
        "security": [{"BearerToken": []}],
    }


def v3(group: str, version: str, kinds: Sequence[Served]) -> dict[str, Any]:
    """The OpenAPI 3.0 document of one group version; of `kinds` only those of that group version count."""
    document = _document([kind for kind in kinds if (kind.group, kind.version) == (group, version)], Dialect.V3)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES_VERSION},
        "paths": document.paths,
        "components": {
            "schemas": document.definitions.found,
            "securitySchemes": {
                "BearerToken": {
                    "description": "Bearer Token authentication",
                    "in": "header",
                    "name": "authorization",
                    "type": "apiKey",
                }
            },
        },
    }


def v3_index(kinds: Sequence[Served]) -> dict[str, Any]:
    """What /openapi/v3 answers: the path of each group version's document, with a hash that makes it cacheable."""
    groups: dict[str, list[Served]] = {}
    for kind in kinds:
        groups.setdefault(kind.root, []).append(kind)
    return {
        "paths": {
            root: {"serverRelativeURL": f"/openapi/v3/{root}?hash={fingerprint(members)}"}
            for root, members in groups.items()
        }
    }


def _document(kinds: Sequence[Served], dialect: Dialect) -> Document:
    document = Document({}, Definitions(dialect))
    for kind in kinds:
        _define(kind, document.definitions)
        document.paths.update(paths_of(kind, document))
    document.definitions.include(META + "APIResourceList")
    return document


def _define(kind: Served, definitions: Definitions) -> None:
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if kind.definition:
        definitions.include(kind.definition, gvk)
        if kind.list_name:
            definitions.include(kind.list_name, {**gvk, "kind": kind.kind + "List"})
    else:
        definitions.custom(kind.schema_name, kind.schema or {"type": "object"}, gvk)
        definitions.custom_list(
            kind.list_name, kind.schema_name, {**gvk, "kind": kind.list_kind or kind.kind + "List"}
        )
    for sub in kind.subresources:
        if sub.definition:
            definitions.include(sub.definition, {"group": sub.group, "version": sub.version, "kind": sub.kind})
