"""The paths of an OpenAPI document: which operations a kind answers, with which parameters, bodies and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from minikube.schema.openapi_definitions import META, PATCH, Definitions, Dialect

if TYPE_CHECKING:
    from minikube.schema.openapi import Served, Subresource

Json = dict[str, Any]
PATCH_TYPES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
ANSWERS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
STREAMS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
BOOLEAN, INTEGER, STRING = "boolean", "integer", "string"
PRETTY = ("pretty", STRING)
DRY_RUN = ("dryRun", STRING)
MANAGER = ("fieldManager", STRING)
VALIDATION = ("fieldValidation", STRING)
SELECTION = (
    ("allowWatchBookmarks", BOOLEAN),
    ("continue", STRING),
    ("fieldSelector", STRING),
    ("labelSelector", STRING),
    ("limit", INTEGER),
    ("resourceVersion", STRING),
    ("resourceVersionMatch", STRING),
    ("sendInitialEvents", BOOLEAN),
    ("timeoutSeconds", INTEGER),
    ("watch", BOOLEAN),
)
DELETION = (
    DRY_RUN,
    ("gracePeriodSeconds", INTEGER),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", BOOLEAN),
    ("orphanDependents", BOOLEAN),
    ("propagationPolicy", STRING),
)
WRITE = (DRY_RUN, MANAGER, VALIDATION)
QUERY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "list": SELECTION,
    "watch": SELECTION,
    "post": WRITE,
    "put": WRITE,
    "patch": (*WRITE, ("force", BOOLEAN)),
    "delete": DELETION,
    "deletecollection": (*SELECTION, *DELETION),
    "get": (),
    "connect": (("path", STRING),),
}
METHOD = {
    "get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete",
    "deletecollection": "delete",
}  # fmt: skip
ACTION = {"create": "post", "update": "put"}
OPERATION = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}
CONNECTED = ("attach", "exec", "log", "portforward", "proxy")


class Document(msgspec.Struct):
    """A document while it is built."""

    paths: Json
    definitions: Definitions


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation before it is put into a dialect."""

    verb: str
    gvk: Mapping[str, str]
    tag: str
    id: str
    about: str
    body: Json | None = None
    answer: Json
    custom: bool = False

    @property
    def action(self) -> str:
        return ACTION.get(self.verb, self.verb)


def paths_of(kind: Served, document: Document) -> Iterator[tuple[str, Json]]:
    """Every path this kind is served at, with its operations."""
    root = f"/{kind.root}"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    parameters = _path_parameters(kind, document.definitions.dialect, named=False)
    if not set(kind.verbs).isdisjoint(("list", "create", "deletecollection")):
        collection = _item(kind, document, ("list", "create", "deletecollection"))
        yield f"{root}{scope}/{kind.plural}", {**collection, "parameters": parameters}
        if kind.namespaced and "list" in kind.verbs:
            everywhere = _item(kind, document, ("list",), suffix="ForAllNamespaces")
            dialect = document.definitions.dialect
            yield f"{root}/{kind.plural}", {**everywhere, "parameters": [_parameter(PRETTY, dialect)]}
    named = _path_parameters(kind, document.definitions.dialect, named=True)
    if not set(kind.verbs).isdisjoint(("get", "update", "patch", "delete")):
        single = _item(kind, document, ("get", "update", "patch", "delete"))
        yield f"{root}{scope}/{kind.plural}/{{name}}", {**single, "parameters": named}
    for sub in kind.subresources:
        yield (
            f"{root}{scope}/{kind.plural}/{{name}}/{sub.name}",
            {**_sub_item(kind, sub, document), "parameters": named},
        )


def _item(kind: Served, document: Document, verbs: tuple[str, ...], suffix: str = "") -> Json:
    out: Json = {}
    for verb in verbs:
        if verb in kind.verbs:
            out[METHOD[verb]] = _rendered(_operation(kind, verb, document, suffix), document.definitions.dialect)
    return out


def _tag(kind: Served) -> str:
    group = kind.group.split(".")[0] if not kind.group or kind.definition else kind.group
    return f"{group or 'core'}_{kind.version}"


def _words(kind: Served) -> str:
    tag = kind.group.removesuffix(".k8s.io") if kind.definition else kind.group
    parts = (tag or "core").replace("-", ".").split(".")
    return "".join(part[:1].upper() + part[1:] for part in (*parts, kind.version))


def _operation(kind: Served, verb: str, document: Document, suffix: str) -> Operation:
    definitions = document.definitions
    own = definitions.dialect.reference(kind.schema_name)
    status = definitions.include(META + "Status")
    scope = "Namespaced" if kind.namespaced and not suffix else ""
    body: Json | None = None
    answer = own
    if verb == "list":
        answer = definitions.dialect.reference(kind.list_name) if kind.list_name else own
    elif verb in ("create", "update"):
        body = own
    elif verb == "patch":
        body = definitions.include(PATCH)
    elif verb in ("delete", "deletecollection"):
        body, answer = definitions.include(META + "DeleteOptions"), status
    name = OPERATION.get(verb, verb)
    target = "Collection" if verb == "deletecollection" else ""
    name = "delete" if target else name
    return Operation(
        verb=verb,
        gvk={"group": kind.group, "version": kind.version, "kind": kind.kind},
        tag=_tag(kind),
        id=f"{name}{_words(kind)}{target}{scope}{kind.kind}{suffix}",
        about=ABOUT.get(verb, verb).format(kind=kind.kind),
        body=body,
        answer=answer,
        custom=not kind.definition,
    )


ABOUT = {
    "get": "read the specified {kind}",
    "list": "list or watch objects of kind {kind}",
    "create": "create a {kind}",
    "update": "replace the specified {kind}",
    "patch": "partially update the specified {kind}",
    "delete": "delete a {kind}",
    "deletecollection": "delete collection of {kind}",
}


def _sub_item(kind: Served, sub: Subresource, document: Document) -> Json:
    definitions = document.definitions
    gvk = (
        {"group": sub.group, "version": sub.version, "kind": sub.kind}
        if sub.kind
        else {"group": kind.group, "version": kind.version, "kind": kind.kind}
    )
    own = definitions.dialect.reference(sub.definition or kind.schema_name)
    scope = "Namespaced" if kind.namespaced else ""
    name = sub.name[:1].upper() + sub.name[1:]
    connected = sub.name in CONNECTED
    out: Json = {}
    for verb in sub.verbs:
        if verb not in METHOD:
            continue
        body: Json | None = None
        if verb == "patch":
            body = definitions.include(PATCH)
        elif verb in ("create", "update") and not connected:
            body = own
        shown = "connect" if connected and sub.name != "log" else verb
        operation = Operation(
            verb=shown,
            gvk=gvk,
            tag=_tag(kind),
            id=f"{OPERATION.get(verb, verb)}{_words(kind)}{scope}{kind.kind}{name}",
            about=f"{sub.name} of the specified {kind.kind}",
            body=body,
            answer={"type": "string"} if connected else own,
            custom=not kind.definition,
        )
        out[METHOD[verb]] = _rendered(operation, definitions.dialect)
    return out


def _parameter(query: tuple[str, str], dialect: Dialect) -> Json:
    name, type = query
    if dialect == Dialect.V2:
        return {"name": name, "in": "query", "type": type, "uniqueItems": True}
    return {"name": name, "in": "query", "schema": {"type": type, "uniqueItems": True}}


def _path_parameters(kind: Served, dialect: Dialect, *, named: bool) -> list[Json]:
    names = (["name"] if named else []) + (["namespace"] if kind.namespaced else [])
    out: list[Json] = []
    for name in names:
        shape: Json = {"type": "string", "uniqueItems": True}
        about = f"{name} of the {kind.kind}" if name == "name" else "object name and auth scope"
        head: Json = {"name": name, "in": "path", "required": True, "description": about}
        out.append({**head, **shape} if dialect == Dialect.V2 else {**head, "schema": shape})
    return [*out, _parameter(PRETTY, dialect)]


def _rendered(operation: Operation, dialect: Dialect) -> Json:
    out: Json = {
        "description": operation.about,
        "operationId": operation.id,
        "tags": [operation.tag],
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": dict(operation.gvk),
    }
    parameters = [_parameter(one, dialect) for one in QUERY.get(operation.action, ())]
    answers = ANSWERS if not operation.custom else ANSWERS[:2]
    if operation.verb == "list":
        answers = (*answers, *STREAMS[: 1 if operation.custom else 2])
    created = ("200", "201", "202") if operation.verb == "create" else ("200", "201")
    codes = created if operation.verb in ("create", "update", "patch") else ("200",)
    codes = ("200", "202") if operation.verb == "delete" else codes
    said = {"200": "OK", "201": "Created", "202": "Accepted"}
    patch_types = tuple(t for t in PATCH_TYPES if not (operation.custom and "strategic" in t))
    if dialect == Dialect.V2:
        out["consumes"] = list(patch_types) if operation.verb == "patch" else ["*/*"]
        out["produces"] = list(answers)
        out["schemes"] = ["https"]
        if operation.body is not None:
            needed = {} if operation.verb.startswith("delete") else {"required": True}
            parameters = [{"name": "body", "in": "body", **needed, "schema": operation.body}, *parameters]
        out["responses"] = {code: {"description": said[code], "schema": operation.answer} for code in codes}
    else:
        if operation.body is not None:
            types = patch_types if operation.verb == "patch" else ("*/*",)
            out["requestBody"] = {"content": {one: {"schema": operation.body} for one in types}}
            if not operation.verb.startswith("delete"):
                out["requestBody"]["required"] = True
        content = {one: {"schema": operation.answer} for one in answers}
        out["responses"] = {code: {"description": said[code], "content": content} for code in codes}
    out["responses"]["401"] = {"description": "Unauthorized"}
    if parameters:
        out["parameters"] = parameters
    return out
